// Checks what a sweep of the demo model wrote: node check-results.mjs FOLDER
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { strict as assert } from "node:assert";

const folder = process.argv[2];
const result = JSON.parse(readFileSync(join(folder, "results.json"), "utf8"));
assert.equal(result.schemaVersion, 1);
assert.equal(result.model.name, "ioi-demo");
assert.deepEqual([result.model.layers, result.model.heads], [3, 8]);
assert.equal(result.heads.length, 24);
assert.deepEqual(result.heatmap.map(layer => layer.length), [8, 8, 8]);
assert.equal(result.pairs.length, 5);

// The task is done on every pair, and some head carries a good part of it.
for (const pair of result.pairs) {
  assert.ok(pair.cleanMetric > 0 && pair.corruptedMetric < 0, `pair ${pair.index}: ${pair.cleanMetric}, ${pair.corruptedMetric}`);
  assert.equal(pair.cleanTokens.length, 15);
}
const strongest = result.heads.reduce((best, head) => (head.patchingEffect > best.patchingEffect ? head : best));
assert.ok(strongest.patchingEffect > 0.5, `${strongest.name} ${strongest.patchingEffect}`);
for (const file of ["heads.csv", "heatmap.png", "heatmap.svg", "report.html"]) {
  assert.ok(statSync(join(folder, file)).size > 1000, file);
}
console.log(`${folder}: ${result.patch} of ${result.model.name} on ${result.dataset.name}, strongest ${strongest.name} at ${strongest.patchingEffect.toFixed(3)}: as it should be`);
