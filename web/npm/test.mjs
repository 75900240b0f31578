export default async function (site) {
    await site.serve('dist');
}
