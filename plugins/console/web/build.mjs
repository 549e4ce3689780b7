// SPDX-License-Identifier: Apache-2.0
// Usage: node build.mjs BUILD_DIR OUTPUT.cpp. BUILD_DIR has node_modules; checks the types, bundles
// src/, packs the files and writes them as C++ (assets.hpp). Names have a hash of the content.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const source = dirname(fileURLToPath(import.meta.url));
const [, , folder, output] = process.argv;
const installed = createRequire(join(folder, 'package.json'));

// Beside node_modules, so that the tools find what is imported.
rmSync(join(folder, 'src'), { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
cpSync(join(source, 'src'), join(folder, 'src'), { recursive: true });
// The runbooks' pages by their names, a part of their own that is loaded when one is opened.
const runbooks = Object.fromEntries(readFileSync(join(source, '../../../etc/runbooks.md'), 'utf8').split(/^## /m).slice(1)
  .map((page) => [page.slice(0, page.indexOf('\n')).trim(), page.slice(page.indexOf('\n')).trim()]));
writeFileSync(join(folder, 'src/runbooks.ts'), `export const runbooks: Record<string, string> = ${JSON.stringify(runbooks)};\n`);
cpSync(join(source, 'tsconfig.json'), join(folder, 'tsconfig.json'));
const checker = join(folder, 'node_modules/typescript/bin/tsc');
execFileSync(process.execPath, [checker, '--noEmit', '-p', folder], { stdio: 'inherit' });

const esbuild = installed('esbuild');
const bundled = await esbuild.build({
  absWorkingDir: folder,
  entryPoints: { app: 'src/app.tsx', style: 'src/style.css' },
  bundle: true,
  minify: true,
  splitting: true,
  format: 'esm',
  target: ['es2022'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  outdir: join(folder, 'out'),
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  write: false,
  metafile: true,
  legalComments: 'none',
});

const hash = (content) => createHash('sha256').update(content).digest('hex').slice(0, 8);
const name = (path) => path.slice(path.lastIndexOf('/') + 1);
const files = bundled.outputFiles.map((file) => ({
  path: `/assets/${name(file.path)}`,
  type: file.path.endsWith('.css') ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8',
  plain: Buffer.from(file.contents),
}));
// Licences of what is bundled, to be read from the page.
const licences = ['lightweight-charts', 'fancy-canvas', 'preact'].map((one) => {
  const of = join(folder, 'node_modules', one);
  const { version, license } = JSON.parse(readFileSync(join(of, 'package.json')));
  const text = ['NOTICE', 'LICENSE'].map((file) => {
    try { return readFileSync(join(of, file), 'utf8'); } catch { return ''; }
  }).join('\n');
  return `${one} ${version} (${license})\n\n${text}\n`;
}).join('\n----\n\n');
files.push({ path: `/assets/licenses-${hash(licences)}.txt`, type: 'text/plain; charset=utf-8', plain: Buffer.from(licences) });

const find = (start, end) => files.find((file) => name(file.path).startsWith(start) && file.path.endsWith(end)).path;
const page = readFileSync(join(source, 'src/index.html'), 'utf8')
  .replace('{{style}}', find('style-', '.css')).replace('{{licences}}', find('licenses-', '.txt'))
  .replace('{{app}}', find('app-', '.js'));
files.push({ path: '/', type: 'text/html; charset=utf-8', plain: Buffer.from(page) });

// Long texts as adjacent literals: a compiler takes those faster than numbers.
function literal(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 4096) {
    let line = '';
    for (const byte of bytes.subarray(at, at + 4096)) line += `\\${byte.toString(8).padStart(3, '0')}`;
    lines.push(`    "${line}"`);
  }
  return `std::string_view{\n${lines.join('\n')},\n    ${bytes.length}}`;
}
const text = (value) => JSON.stringify(value);
const rows = files.map((file) => {
  const packed = gzipSync(file.plain, { level: 9 });
  const gzip = packed.length < file.plain.length ? literal(packed) : 'std::string_view{}';
  return `    Asset{${text(file.path)}, ${text(file.type)},\n    ${literal(file.plain)},\n    ${gzip}},`;
});
const digest = createHash('sha256').update(Buffer.concat(files.map((file) => file.plain))).digest('hex');
writeFileSync(output, `// SPDX-License-Identifier: Apache-2.0
// Made by plugins/console/web/build.mjs; ${digest}
#include "plugins/console/assets.hpp"

#include <array>

namespace tenon::console {

std::span<const Asset> assets() noexcept {
    static constexpr std::array k_assets{
${rows.join('\n')}
    };
    return k_assets;
}

}  // namespace tenon::console
`);
const first = files.filter((file) => !/chart|runbooks/.test(file.path))
  .reduce((sum, file) => sum + gzipSync(file.plain, { level: 9 }).length, 0);
console.log(`${files.length} files, ${files.reduce((sum, file) => sum + gzipSync(file.plain).length, 0)} bytes packed,`
  + ` ${first} without the chart`);
