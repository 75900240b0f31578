// Runs the browser suite, each test by its name, and compiles the composed shaders of the repository.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

// Compiling the kernels of a test takes most of its time, and a busy machine takes several times as long.
const LIMIT = 300_000;

// Runs something in the page. An error of the page ends it: a panic of the program does not return.
async function within(page, what, argument) {
    let timer, listener;
    const ended = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no result after ${LIMIT / 1000} s`)), LIMIT);
        listener = error => reject(error);
        // An error while the page was loaded.
        const early = page.log.find(({ type }) => type === 'pageerror');
        if (early) reject(new Error(early.text));
        page.on('pageerror', listener);
    });
    try {
        return await Promise.race([page.evaluate(what, argument), ended]);
    } finally {
        clearTimeout(timer);
        page.off('pageerror', listener);
    }
}

export default async function (site) {
    const url = `${await site.serve('dist/suite')}/`;
    const open = async () => {
        const page = await site.open(url);
        await within(page, () => window.loaded);
        return page;
    };
    let page = await open();
    const only = process.env.ONLY;
    const names = (await page.evaluate(() => window.suite.tests())).filter(name => !only || name.includes(only));
    const failed = [];
    let modules = 0;
    for (const name of names) {
        const start = Date.now();
        let error = null;
        try {
            await within(page, name => window.suite.run(name), name);
            const compiled = await page.evaluate(() => {
                const seen = window.compiled;
                window.compiled = { modules: 0, messages: [] };
                return seen;
            });
            modules += compiled.modules;
            if (compiled.messages.length) throw new Error(compiled.messages.slice(0, 8).join('\n'));
            site.quiet(page);
        } catch (caught) {
            error = caught;
        }
        for (const { text } of page.log) console.log(`    ${text.slice(0, 400)}`);
        page.log.length = 0;
        console.log(`  ${error ? 'FAILED' : 'ok'} ${name}, ${((Date.now() - start) / 1000).toFixed(1)} s`);
        if (error) {
            console.log(`    ${error.message}`);
            failed.push(name);
            await page.close();
            page = await open();
        }
    }
    console.log(`  the compiler said nothing of ${modules} shaders of the tests`);

    const folder = fileURLToPath(new URL('../../shaders/composed', import.meta.url));
    const composed = fs.readdirSync(folder).map(label => ({ label, code: fs.readFileSync(path.join(folder, label), 'utf8') }));
    const messages = await page.evaluate(async shaders => {
        const device = await (await navigator.gpu.requestAdapter()).requestDevice();
        const said = await Promise.all(shaders.map(async shader => {
            const { messages } = await device.createShaderModule(shader).getCompilationInfo();
            return messages.map(({ type, message, lineNum }) => `${shader.label}:${lineNum}: ${type}: ${message}`);
        }));
        return said.flat();
    }, composed);
    if (!composed.length || messages.length) throw new Error(`shaders/composed: ${messages.join('\n')}`);
    console.log(`  ok ${composed.length} shaders of shaders/composed without a warning`);
    await page.close();
    if (failed.length) throw new Error(`${failed.length} of ${names.length} tests failed: ${failed.join(', ')}`);
    console.log(`  ${names.length} tests`);
}
