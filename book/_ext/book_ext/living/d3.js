// Writes what the living figures use of D3 into the file named: one classic script, global d3.
const esbuild = require("esbuild");
const fs = require("node:fs");
const path = require("node:path");

const USED = { "d3-scale": ["scaleLinear"], "d3-shape": ["area", "line"] };

const lines = Object.entries(USED).map(([name, parts]) => {
  return `export { ${parts.join(", ")} } from "${name}";`;
});
const licences = Object.keys(USED).map((name) => {
  const folder = path.join(__dirname, "../../../node_modules", name);
  const { version } = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"));
  return `/* From ${name} ${version}.\n${fs.readFileSync(path.join(folder, "LICENSE"), "utf8")}*/`;
});
esbuild.buildSync({
  stdin: { contents: lines.join("\n"), resolveDir: __dirname },
  banner: { js: licences.join("\n") },
  bundle: true,
  charset: "utf8",
  format: "iife",
  globalName: "d3",
  minify: true,
  outfile: process.argv[2],
  target: "es2020",
});
