// Reads from standard input {file, texts}: a tokenizer.json, and texts. Writes the token ids of each, without special tokens around them.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { Tokenizer } = createRequire(import.meta.url)('tokenizers');
const { file, texts } = JSON.parse(readFileSync(0, 'utf8'));
const tokenizer = Tokenizer.fromFile(file);
const ids = [];
for (const text of texts) {
  ids.push((await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds());
}
process.stdout.write(JSON.stringify(ids));
