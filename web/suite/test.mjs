// Runs the browser suite.
export default async function (site) {
    const page = await site.open(await site.serve('dist/suite') + '/');
    site.quiet(page);
}
