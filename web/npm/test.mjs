// Packs the package and uses it as others do: in a page and in a worker without a bundler, and with Vite, built and
// served.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const LARGEST = 300_000;

// The code of the README, and what it leads to.
const readme = fs.readFileSync(path.join(here, 'static/README.md'), 'utf8');
const code = /```js\n(.*?)```/s.exec(readme)[1];
const example = `${code}
window.result = { line: [...await adam.read('line')], report: await adam.report() };
`;
// A worker has no import map.
const worker = `${code.replace("'wgpu-adam'", "'/node_modules/wgpu-adam/index.js'")}
postMessage([...await adam.read('line')]);
`;

// The same fit in 64-bit floats.
function fit(steps) {
    const [line, m, v] = [[0, 0], [0, 0], [0, 0]];
    for (let t = 1; t <= steps; t++) {
        const grad = [0, 0];
        for (let x = 0; x < 1; x += 1 / 64) {
            const error = line[0] * x + line[1] - (3 * x - 1);
            grad[0] += 2 * error * x / 64;
            grad[1] += 2 * error / 64;
        }
        grad.forEach((g, i) => {
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            line[i] -= 0.05 * (m[i] / (1 - 0.9 ** t)) / (Math.sqrt(v[i] / (1 - 0.999 ** t)) + 1e-8);
        });
    }
    return line;
}

export default async function (site) {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), 'npm-'));
    try {
        if (!fs.existsSync(path.join(here, 'node_modules'))) {
            execFileSync('npm', ['ci', '--silent', '--no-audit', '--no-fund'], { cwd: here, stdio: 'inherit' });
        }
        const { build, createServer } = await import('vite');

        const tarball = execFileSync(path.join(here, 'pack.sh'), [root], { encoding: 'utf8' }).trim();
        const { size } = fs.statSync(path.join(root, tarball));
        console.log(`${tarball} has ${size} bytes`);
        assert(size < LARGEST, `the package has ${size} bytes, but at most ${LARGEST} are wanted`);
        const folder = path.join(root, 'node_modules/wgpu-adam');
        fs.mkdirSync(folder, { recursive: true });
        execFileSync('tar', ['xf', path.join(root, tarball), '-C', folder, '--strip-components=1']);

        const write = (name, text) => fs.writeFileSync(path.join(root, name), text);
        write('package.json', '{ "type": "module", "dependencies": { "wgpu-adam": "*" } }');
        write('example.js', example);
        write('worker.js', worker);
        write('index.html', '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/example.js"></script>');
        const map = '<script type="importmap">{ "imports": { "wgpu-adam": "/node_modules/wgpu-adam/index.js" } }</script>';
        write('plain.html', `<!doctype html><link rel="icon" href="data:,">${map}<script type="module" src="/example.js"></script>`);
        write('tests.html', `<!doctype html><link rel="icon" href="data:,">${map}`);
        fs.copyFileSync(path.join(here, 'test/browser.js'), path.join(root, 'browser.js'));
        fs.copyFileSync(path.join(here, 'test/types.ts'), path.join(root, 'types.ts'));
        fs.copyFileSync(path.join(here, '../../tests/pytorch/sgd.ours.safetensors'), path.join(root, 'native.safetensors'));

        const tsc = path.join(here, 'node_modules/.bin/tsc');
        const options = ['--noEmit', '--strict', '--target', 'esnext', '--module', 'nodenext', '--lib', 'esnext,dom'];
        execFileSync(tsc, [...options, 'types.ts'], { cwd: root, stdio: 'inherit' });

        const need = fit(500);
        assert(Math.abs(need[0] - 3) < 0.01 && Math.abs(need[1] + 1) < 0.01, `the fit gives ${need}`);
        const runExample = async (how, url) => {
            const start = Date.now();
            const page = await site.open(url);
            await page.waitForFunction(() => window.result, null, { timeout: 30_000 }).catch(error => {
                throw new Error(`${how}: ${error.message} ${JSON.stringify(page.log, null, 1)}`);
            });
            const { line, report } = await page.evaluate(() => window.result);
            line.forEach((value, i) => assert(Math.abs(value - need[i]) < 1e-4, `${how}: ${line} instead of ${need}`));
            assert.equal(report.t, 500);
            site.quiet(page);
            await page.close();
            console.log(`the example works ${how}: ${line}, ${((Date.now() - start) / 1000).toFixed(1)} s`);
        };

        const url = await site.serve(root);
        await runExample('without a bundler', `${url}/plain.html`);
        await build({ root, logLevel: 'warn', build: { target: 'esnext' } });
        await runExample('built by Vite', `${await site.serve(path.join(root, 'dist'))}/`);
        const server = await createServer({ root, logLevel: 'warn', optimizeDeps: { exclude: ['wgpu-adam'] } });
        await server.listen();
        await runExample('served by Vite', server.resolvedUrls.local[0]);
        await server.close();

        const page = await site.open(`${url}/tests.html`);
        const line = await page.evaluate(() => new Promise((resolve, reject) => {
            const worker = new Worker('/worker.js', { type: 'module' });
            worker.onmessage = ({ data }) => resolve(data);
            worker.onerror = event => reject(event.message);
        }));
        line.forEach((value, i) => assert(Math.abs(value - need[i]) < 1e-4, `in a worker: ${line} instead of ${need}`));
        console.log(`the example works in a worker: ${line}`);
        const types = fs.readFileSync(path.join(here, 'static/index.d.ts'), 'utf8');
        for (const message of await page.evaluate(async () => (await import('/browser.js')).expected())) {
            const words = [...message.split(', expected ')[1].matchAll(/`(\w+)`/g)].map(([, word]) => word);
            const camel = words.map(word => word.replace(/_(.)/g, (_, letter) => letter.toUpperCase()));
            assert.deepEqual(camel.filter(word => !new RegExp(`\\b${word}\\b`).test(types)), [], 'index.d.ts does not have these');
        }
        const names = await page.evaluate(async () => Object.keys((await import('/browser.js')).tests));
        const failures = [];
        for (const name of names) {
            const failure = await page.evaluate(
                name => import('/browser.js').then(({ tests }) => tests[name]()).then(() => null, error => String(error.stack)),
                name,
            );
            if (failure) failures.push(`${name}: ${failure}`);
        }
        assert.deepEqual(failures, []);
        site.quiet(page);
        console.log(`${names.length} tests in a page`);
    } finally {
        fs.rmSync(root, { recursive: true, force: true });
    }
}
