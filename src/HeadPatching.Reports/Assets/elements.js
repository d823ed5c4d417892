// What every page's script begins with.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}

function definition(list, term, value, className) {
  list.append(element("dt", "", term), element("dd", className ?? "", value));
}
