const fs = require('fs');

const manifest = {};
for (const kind of ['js', 'css']) {
  fs.mkdirSync(`public/${kind}`, { recursive: true });
  fs.copyFileSync(`resources/assets/app.${kind}`, `public/${kind}/app.${kind}`);
  manifest[`/${kind}/app.${kind}`] = `/${kind}/app.${kind}`;
}
fs.writeFileSync('public/mix-manifest.json', JSON.stringify(manifest));
fs.copyFileSync('public/mix-manifest.json', 'mix-manifest.json');
