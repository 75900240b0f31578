// Runs the tests of folders in one headless Chromium: `node drive.mjs suite page npm`. Each folder has a `test.mjs`, which
// exports an async function of the object `site` below. A test that fails throws.
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const program = fileURLToPath(import.meta.url), here = path.dirname(program);
const types = {
    '.css': 'text/css', '.html': 'text/html', '.js': 'text/javascript', '.json': 'application/json',
    '.mjs': 'text/javascript', '.png': 'image/png', '.svg': 'image/svg+xml', '.wasm': 'application/wasm',
};

// Serves a folder, and nothing outside it. `GET /` is index.html.
export function serve(folder, port = 0) {
    const root = path.resolve(folder);
    const server = http.createServer((request, response) => {
        const name = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
        let file = path.join(root, name);
        if (name.endsWith('/')) file += 'index.html';
        if (!file.startsWith(root + path.sep) || !fs.existsSync(file) || !fs.statSync(file).isFile()) {
            response.writeHead(404);
            return response.end();
        }
        response.writeHead(200, { 'content-type': types[path.extname(file)] ?? 'application/octet-stream' });
        fs.createReadStream(file).pipe(response);
    });
    return new Promise(resolve => server.listen(port, '127.0.0.1', () => {
        resolve({ url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() });
    }));
}

// Chromium still writes to its profile when it is closed.
const profiles = [];
process.on('exit', () => profiles.forEach(profile => fs.rmSync(profile, { recursive: true, force: true, maxRetries: 10 })));

// Starts Chromium with WebGPU on SwiftShader, its adapter on the CPU. CHROMIUM names another program.
// It begins with an empty profile, so that nothing is in a cache.
export async function browser(args = []) {
    const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'chromium-'));
    const programs = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
    const executablePath = programs.find(program => program && fs.existsSync(program));
    if (!executablePath) throw new Error('there is no Chromium: install it, or set CHROMIUM to its path');
    const context = await chromium.launchPersistentContext(profile, {
        executablePath,
        headless: true,
        args: [
            '--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan',
            // Without the latter, a canvas stays blank.
            '--use-angle=swiftshader', '--use-vulkan=swiftshader',
            '--disable-background-networking', '--disable-component-update', '--disable-sync',
            '--no-first-run', ...args,
        ],
    });
    profiles.push(profile);
    return context;
}

async function main(folders) {
    // Chromium sets workgroup memory to zero, for which SwiftShader compiles a store for each word: 0.7 s for the sums of
    // `norm`. Shaders write this memory before they read it, so that the tests need no zeros.
    const context = await browser(['--enable-dawn-features=disable_workgroup_init']);
    const servers = [];
    const site = {
        context,
        // The address of a folder of web/, without a slash at the end.
        async serve(folder) {
            const server = await serve(path.resolve(here, folder));
            servers.push(server);
            return server.url;
        },
        // Opens a page. `page.log` has its lines of the console and its errors as { type, text }. `options.viewport` is
        // { width, height }; `options.colorScheme` is 'light' or 'dark'; `options.init` is the path of a script that runs
        // before those of the page.
        async open(url, options = {}) {
            const page = await context.newPage();
            page.log = [];
            page.on('console', message => page.log.push({ type: message.type(), text: message.text() }));
            page.on('pageerror', error => page.log.push({ type: 'pageerror', text: String(error.stack ?? error) }));
            page.on('crash', () => page.log.push({ type: 'crash', text: 'the page crashed' }));
            if (options.viewport) await page.setViewportSize(options.viewport);
            if (options.colorScheme) await page.emulateMedia({ colorScheme: options.colorScheme });
            if (options.init) await page.addInitScript({ path: options.init });
            await page.goto(url);
            return page;
        },
        // Throws if the console has a warning or an error, other than those that a pattern allows.
        quiet(page, allowed = []) {
            const loud = page.log.filter(({ type, text }) =>
                ['warning', 'error', 'pageerror', 'crash'].includes(type) && !allowed.some(pattern => pattern.test(text)));
            if (loud.length) throw new Error('on the console: ' + JSON.stringify(loud.slice(0, 8), null, 1));
        },
    };
    let failed = 0;
    console.log(`Chromium ${context.browser()?.version() ?? ''}`);
    for (const folder of folders) {
        const start = Date.now();
        try {
            const test = await import(pathToFileURL(path.join(here, folder, 'test.mjs')));
            await test.default(site);
            console.log(`web/${folder}: ok, ${((Date.now() - start) / 1000).toFixed(1)} s`);
        } catch (error) {
            failed++;
            console.log(`web/${folder}: FAILED\n${error.stack ?? error}`);
            for (const page of context.pages()) for (const { type, text } of page.log ?? []) console.log(`    ${type}: ${text}`);
        }
    }
    await context.close();
    servers.forEach(server => server.close());
    return failed;
}

if (program === path.resolve(process.argv[1] ?? '')) {
    process.exit(await main(process.argv.slice(2)) ? 1 : 0);
}
