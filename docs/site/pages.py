# SPDX-License-Identifier: MIT
"""The pages of the documentation: each is in the index once, every link leads somewhere, every diagram and every example shown is as fresh
as its source. usage: pages.py ROOT [--write]

A block that follows <!-- example FILE --> shows docs/examples/FILE, from its first #include on. `--write` copies the examples into the pages and renders
docs/diagrams/*.dot by Graphviz. The pictures are kept in the tree, so that whoever reads the pages there sees them; each names the hash of its source.
build.py takes the functions from here."""
import hashlib
import pathlib
import re
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "scripts"))
from cases import exit_code, report  # noqa: E402

LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
BULLET = re.compile(r"^( *)- \[([^\]]+)\]\(([^)]+)\)")


def prose(text):
    """The lines of a page that are not code; a line of code is given as ''."""
    fenced = False
    for line in text.splitlines():
        if re.match(r" *```", line):
            fenced = not fenced
            yield ""
        else:
            yield "" if fenced or line.startswith("    ") else line


def anchors(text):
    """Of a page's headings, as the repository's host and the site make them."""
    found = set()
    for line in prose(text):
        if heading := re.match(r"#+ (.*)", line):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).replace("`", "").strip().lower()
            slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
            number = 0
            while slug + (f"-{number}" if number else "") in found:
                number += 1
            found.add(slug + (f"-{number}" if number else ""))
    return found


def links(text):
    for line in prose(text):
        for match in LINK.finditer(re.sub(r"`[^`]*`", "", line)):
            yield match[2]


def pages(root):
    return [root / "README.md", *sorted(page for page in (root / "docs").rglob("*.md") if page.parent != root / "docs" / "site")]


def index(root):
    """What docs/README.md lists: [(section, [(title, path, [(title, path)...])...])...]; paths are relative to docs."""
    sections = []
    for line in (root / "docs" / "README.md").read_text().splitlines():
        if line.startswith("## "):
            sections.append((line[3:], []))
        elif bullet := BULLET.match(line):
            into = sections[-1][1]
            if bullet[1]:
                into[-1][2].append((bullet[2], bullet[3]))
            else:
                into.append((bullet[2], bullet[3], []))
    return sections


def listed(root):
    return [path for _, entries in index(root) for _, page, more in entries for path in [page, *(below for _, below in more)]]


def broken_links(root):
    texts = {page.resolve(): page.read_text() for page in pages(root)}
    for page, text in texts.items():
        for target in links(text):
            path, _, anchor = target.partition("#")
            to = (page.parent / path).resolve() if path else page
            if re.match(r"[a-z]+:", target):
                continue
            if root not in to.parents or not to.exists():
                yield f"{page.relative_to(root)}: {target} does not exist"
            elif anchor and (to not in texts or anchor not in anchors(texts[to])):
                yield f"{page.relative_to(root)}: {target}: there is no such heading"


def unmentioned(root):
    """Concepts, options, metrics and variables that the headers have and the reference does not name."""
    include = root / "include" / "pulse"
    reference = {page: page.read_text() for page in (root / "docs" / "reference").rglob("*.md")}
    everything = "\n".join(reference.values())

    def missing(what, names, text):
        return [f"{what} {name} is not in the reference" for name in sorted(set(names)) if not re.search(rf"\b{re.escape(name)}\b", text)]

    for header in sorted((include / "concept").glob("*.hpp")):
        text = re.sub(r"namespace requirement \{.*?\}  // namespace requirement", "", header.read_text(), flags=re.S)
        yield from missing("the concept", re.findall(r"^concept (\w+)", text, re.M), everything)
    for header in sorted(include.rglob("*.hpp")):
        public = re.sub(r"namespace (?:[\w:]* v\w+::)?(?:\w+::)*detail \{.*?\}  // namespace [^\n]*detail", "", header.read_text(), flags=re.S)
        for name, body in re.findall(r"^struct (\w+Options) \{\n(.*?)^\};", public, re.S | re.M):
            yield from missing(f"the option {name}.", re.findall(r"^  [\w:<>,  ]+? (\w+)(?: = [^;]*|\{[^;]*\})?;", body, re.M), everything)
    families = re.findall(r'Family<"(\w+)"', (include / "core" / "metric_family.hpp").read_text())
    yield from missing("the metric", families, reference[root / "docs" / "reference" / "metrics.md"])
    variables = re.findall(r'"([A-Z]+_[A-Z_]+)"', (include / "core" / "config.hpp").read_text())
    yield from missing("the variable", variables, reference[root / "docs" / "reference" / "configuration.md"].replace("`_SOFT`, `_HARD`", "MDP_FB_SCALE_SOFT MDP_FB_SCALE_HARD"))


def mark(source):
    return f"<!-- sha256 of {source.name}: {hashlib.sha256(source.read_bytes()).hexdigest()} -->"


def draw(root):
    for source in sorted((root / "docs" / "diagrams").glob("*.dot")):
        done = subprocess.run(["dot", "-Tsvg", str(source)], text=True, capture_output=True, check=True)
        svg = re.sub(r"<!-- Generated by graphviz.*?-->\n", "", done.stdout, flags=re.S)
        source.with_suffix(".svg").write_text(svg.rstrip() + "\n" + mark(source) + "\n")


EXAMPLE = re.compile(r"(<!-- example (\S+) -->\n```cpp\n)(.*?)(```)", re.S)


def example(root, name):
    text = (root / "docs" / "examples" / name).read_text()
    return text[text.index("#include"):]


def show(root):
    for page in pages(root):
        text = page.read_text()
        fresh = EXAMPLE.sub(lambda match: match[1] + example(root, match[2]) + match[4], text)
        if fresh != text:
            page.write_text(fresh)


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    if "--write" in sys.argv:
        show(root)
        draw(root)
    wanted = sorted(page.relative_to(root / "docs").as_posix() for page in pages(root)[1:] if page != root / "docs" / "README.md")
    there = listed(root)
    report("docs/README.md lists every page once", [f"{p}: add a line to docs/README.md" for p in wanted if p not in there]
           + [f"{p} is listed twice" for p in sorted(set(there)) if there.count(p) > 1])
    report("every link and its anchor exist", list(broken_links(root)))
    report("the reference names every concept, option, metric and variable", list(unmentioned(root)))
    report("every page has one title, on its first line", [str(p.relative_to(root)) for p in pages(root)
                                                           if not p.read_text().startswith("# ") or sum(line.startswith("# ") for line in prose(p.read_text())) != 1])
    stale = [f"{source.stem}: draw it: ./dev docs --write" for source in sorted((root / "docs" / "diagrams").glob("*.dot"))
             if not source.with_suffix(".svg").exists() or mark(source) not in source.with_suffix(".svg").read_text()]
    report("every diagram is as fresh as its source", stale)
    report("every example shown is the example", [f"{page.relative_to(root)} shows another {match[2]}: ./dev docs --write" for page in pages(root)
                                                  for match in EXAMPLE.finditer(page.read_text()) if match[3] != example(root, match[2])])
    return exit_code()


if __name__ == "__main__":
    sys.exit(main())
