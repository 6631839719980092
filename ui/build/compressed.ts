import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';

/** What gains from compression; fonts are compressed already. */
const TEXT = /\.(js|css|html|svg|json|map)$/;

/**
 * Puts a `.br` and a `.gz` beside each text file of the build, which the server sends as they are, and
 * prints what a browser loads first and in all.
 */
export function compressed(): Plugin {
  let folder = 'dist';
  return {
    name: 'compressed',
    apply: 'build',
    configResolved(config) {
      folder = path.resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      // A build that failed says so itself.
      if (!existsSync(folder)) return;
      const sizes: { name: string; brotli: number; gzip: number }[] = [];
      for (const name of walk(folder)) {
        if (!TEXT.test(name)) continue;
        const file = path.join(folder, name);
        const content = readFileSync(file);
        const brotli = brotliCompressSync(content, {
          params: {
            [constants.BROTLI_PARAM_QUALITY]: 10,
            [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
          },
        });
        const gzip = gzipSync(content, { level: 9 });
        writeFileSync(`${file}.br`, brotli);
        writeFileSync(`${file}.gz`, gzip);
        sizes.push({ name, brotli: brotli.length, gzip: gzip.length });
      }
      report(sizes);
    },
  };
}

function* walk(folder: string, below = ''): Generator<string> {
  for (const entry of readdirSync(path.join(folder, below)).sort()) {
    const name = path.join(below, entry);
    if (statSync(path.join(folder, name)).isDirectory()) yield* walk(folder, name);
    else yield name;
  }
}

function report(sizes: { name: string; brotli: number; gzip: number }[]): void {
  const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(0)} kB`.padStart(9);
  sizes.sort((a, b) => b.brotli - a.brotli);
  for (const { name, brotli, gzip } of sizes.filter(({ brotli }) => brotli > 5000)) {
    console.log(`${kilobytes(brotli)} br ${kilobytes(gzip)} gz  ${name}`);
  }
  const total = sizes.reduce((sum, { brotli }) => sum + brotli, 0);
  console.log(`${kilobytes(total)} br in all`);
}
