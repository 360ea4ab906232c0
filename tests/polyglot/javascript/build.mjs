// Makes a component of app.js: node build.mjs <folder of the WIT> <output>
import { writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';

const [witPath, output] = process.argv.slice(2);
const { component } = await componentize({
  sourcePath: 'app.js',
  witPath,
  worldName: 'http-json',
  // With all of them off the component imports the contract and nothing else.
  disableFeatures: ['stdio', 'random', 'clocks', 'http', 'fetch-event'],
});
await writeFile(output, component);
