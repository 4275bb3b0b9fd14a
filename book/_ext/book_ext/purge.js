// Joins the style sheets named after the first, all below _static, into the first; run it in the
// folder of the finished pages. What can match nothing in a page or after a script is left out.
const fs = require("node:fs");
const path = require("node:path/posix");
const postcss = require("postcss");
const { PurgeCSS } = require("purgecss");

const [bundle, ...names] = process.argv.slice(2).map((name) => path.join("_static", name));
const URL = /url\((["']?)(?!data:|#)([^"')]+)\1\)/g;
const ICON = /var\(--(pst-icon|fa)-/; // the theme's icon library is not shipped

function read(name) {
  const sheet = postcss.parse(fs.readFileSync(name, "utf8"), { from: name });
  const folder = path.relative("_static", path.dirname(name));
  sheet.walkComments((comment) => comment.remove());
  sheet.walkAtRules("charset", (rule) => rule.remove());
  sheet.walkDecls((line) => {
    line.value = line.value.replace(URL, (_, quote, url) => `url("${path.join(folder, url)}")`);
  });
  sheet.walkAtRules("font-face", (face) => {
    const urls = Array.from(face.toString().matchAll(URL), (match) => match[2]);
    if (urls.length && !urls.some((url) => fs.existsSync(path.join("_static", url)))) face.remove();
  });
  sheet.walkRules(/:(before|after)$/, (rule) => {
    if (ICON.test(rule.toString())) rule.remove();
  });
  return sheet.toString();
}

const content = ["**/*.html", "_static/**/*.js"];
const css = [{ raw: names.map(read).join("\n") }];
const skippedContentGlobs = ["_static/lab/**"]; // the lab has a style sheet of its own
const safelist = [/^:/]; // states such as :focus-visible, which stand in no page
new PurgeCSS().purge({ content, css, safelist, skippedContentGlobs }).then(([kept]) => {
  fs.writeFileSync(bundle, kept.css);
});
