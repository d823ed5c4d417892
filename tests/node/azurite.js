// Runs Azurite for as long as the process that started it lives: its end closes our standard input, even when it was killed.
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
require("azurite/dist/src/azurite.js");
