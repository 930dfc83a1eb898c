const fs = require('fs');
const isNumber = require('is-number');

fs.mkdirSync('dist', { recursive: true });
fs.writeFileSync('dist/index.html', `<p>42 is a number: ${isNumber(42)}</p>\n`);
