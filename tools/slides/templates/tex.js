// A list of formulas in, their drawings and their MathML out: node tex.js MATHJAX < list
const { readFileSync } = require("fs");
const { init } = require(`${process.argv[2]}/es5/node-main.js`);

init({
  loader: { load: ["input/tex", "output/svg"] },
  tex: {
    packages: { "[-]": ["noundefined", "noerrors"] },
    formatError: (_, error) => { throw error; },
  },
  svg: { fontCache: "none" },
}).then(mathjax => {
  const draw = ({ tex, display }) => {
    try {
      const node = mathjax.tex2svg(tex, { display });
      const svg = mathjax.startup.adaptor.innerHTML(node)
        .replace('role="img"', 'aria-hidden="true"')
        .replace(/ data-(?:mml-node|mjx-texclass|c|variant|align|latex)="[^"]*"/g, "");
      return { svg, mathml: mathjax.tex2mml(tex, { display }).replace(/\s*\n\s*/g, "") };
    } catch (error) {
      return { error: error.message };
    }
  };
  process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(draw)));
});
