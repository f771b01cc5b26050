// Checks the objects of KEDA in a JSON file against its schemas: keda.mjs FOLDER FILE, where
// FOLDER has the package @kubernetes-models/keda.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [folder, file] = process.argv.slice(2);
const schemas = `${folder}/node_modules/@kubernetes-models/keda/keda.sh/v1alpha1/index.js`;
const keda = await import(pathToFileURL(schemas));

for (const thing of JSON.parse(readFileSync(file, 'utf8'))) {
  if (!thing.apiVersion.startsWith('keda.sh/')) continue;
  const Model = keda[thing.kind];
  if (!Model) throw new Error(`KEDA has no ${thing.kind}`);
  new Model(thing).validate();
}
