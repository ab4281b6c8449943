# SPDX-License-Identifier: MIT
"""The documentation as a site: pages by MkDocs, the API reference by Doxygen, both without a warning, every link followed. usage: build.py ROOT OUT

OUT/html/index.html is the way in. Pages keep their sources' names; README.md is the front page, docs/README.md the contents. What a page links to that is
no page - a program, a header - becomes a page that shows it. The site needs nothing from the net, and a check says so."""
import html.parser
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse

import pages  # which knows where the scripts are
from cases import exit_code, failed, report

root, out = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
source, site = out / "pages", out / "html"


def place(path):
    """Where a file of the tree goes in the site."""
    if path == root / "README.md":
        return pathlib.PurePosixPath("index.md")
    if path == root / "docs" / "README.md":
        return pathlib.PurePosixPath("contents.md")
    if root / "docs" in path.parents and path.suffix in (".md", ".svg"):
        return pathlib.PurePosixPath(path.relative_to(root / "docs").as_posix())
    return pathlib.PurePosixPath("source") / (path.relative_to(root).as_posix() + ".md")


def moved(text, page, shown):
    """The page with its links as they are in the site; `shown` gathers the files that are linked to and no pages."""
    at = place(page)

    def link(match):
        path, hash_, anchor = match[2].partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return match[0]
        to = (page.parent / path).resolve()
        if to.is_dir():
            return match[1] + os.path.relpath("contents.md", at.parent) + match[3]
        if to.suffix not in (".md", ".svg"):
            shown.add(to)
        return match[1] + os.path.relpath(place(to), at.parent) + hash_ + anchor + match[3]

    lines = zip(text.splitlines(), pages.prose(text))
    return "\n".join(pages.LINK.sub(link, line) if plain else line for line, plain in lines) + "\n"


def navigation():
    def quoted(text):
        return "'" + text.replace("'", "''") + "'"

    lines = ["nav:", "  - Pulse: index.md"]
    for section, entries in pages.index(root):
        lines.append(f"  - {quoted(section)}:")
        for title, page, more in entries:
            if not more:
                lines.append(f"      - {quoted(title)}: {place(root / 'docs' / page)}")
                continue
            lines.append(f"      - {quoted(title)}:")
            lines += [f"          - {quoted(t)}: {p}" for t, p in [("Contract and chooser", page), *more]]
        if section == "Reference":
            lines.append("      - 'API, by header': api.md")
    return "\n".join(lines + ["  - Contents: contents.md"]) + "\n"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def make_pages():
    shutil.rmtree(source, ignore_errors=True)
    shown = set()
    for page in pages.pages(root):
        write(source / place(page), moved(page.read_text(), page, shown))
    for file in sorted(shown):
        kind = {".cpp": "cpp", ".hpp": "cpp", ".py": "python", ".json": "json", ".yml": "yaml"}.get(file.suffix, "text")
        write(source / place(file), f"# {file.relative_to(root)}\n\n````{kind}\n{file.read_text().rstrip()}\n````\n")
    for picture in sorted((root / "docs").rglob("*.svg")):
        write(source / place(picture), picture.read_text())
    write(source / "api.md", "# API, by header\n\nWhat stands in the headers, as Doxygen reads it: [overview](api/index.html), [classes](api/annotated.html), [headers](api/files.html), "
          "[constants and functions](api/namespacemembers.html).\nThe contracts of the policies are in the pages beside this one.\n")
    shutil.copy(root / "docs" / "site" / "site.css", source / "site.css")
    settings = (root / "docs" / "site" / "mkdocs.yml").read_text()
    write(out / "mkdocs.yml", f"docs_dir: {source}\nsite_dir: {site}\n{settings}{navigation()}")
    done = subprocess.run(["mkdocs", "build", "--quiet", "--clean", "-f", str(out / "mkdocs.yml")], text=True, capture_output=True)
    # The API reference comes after: its links are followed below.
    said = [line for line in (done.stdout + done.stderr).splitlines() if line and "'api/" not in line and "Aborted with" not in line]
    report("the pages become a site without a warning", said)


def make_api():
    number = re.search(r"version: '([^']+)'", (root / "meson.build").read_text())[1]
    settings = (root / "docs/site/Doxyfile").read_text()
    settings += f"OUTPUT_DIRECTORY = {out}\nHTML_OUTPUT = {site}/api\nPROJECT_NUMBER = {number}\n"
    done = subprocess.run(["doxygen", "-"], input=settings, text=True, capture_output=True, cwd=root)
    report("Doxygen reads the headers without a warning", [line.replace(str(root) + "/", "") for line in done.stderr.splitlines() if line][:40])
    undocumented = []
    for file in sorted((out / "xml").glob("*.xml")):
        text = file.read_text()
        kind = re.search(r'<compounddef id="[^"]*" kind="(?:class|struct|union|concept)"(?! [^>]*prot="private")[^>]*>\s*<compoundname>([^<]*)', text)
        own = re.findall(r"^    <(?:brief|detailed)description>\n(.*?)^    </(?:brief|detailed)description>", text, re.S | re.M)
        if kind and not any(part.strip() for part in own):
            undocumented.append(kind[1])
    report("every public class and concept says what it is", undocumented)


class Found(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids, self.links, self.fetched = set(), set(), set()

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        target = given.get("href") or given.get("src")
        if target:
            self.links.add(target)
            if tag in ("script", "img", "iframe") or (tag == "link" and given.get("rel") != "canonical"):
                self.fetched.add(target)


def follow_links():
    found = {}
    for page in site.rglob("*.html"):
        found[page] = Found()
        found[page].feed(page.read_text(errors="replace"))
    broken, foreign = set(), set()
    for page, what in found.items():
        where = page.relative_to(site)
        foreign |= {f"{where} fetches {target}" for target in what.fetched if re.match(r"(https?:)?//", target)}
        for target in what.links:
            path, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:|//", target) or where.name == "404.html":
                continue
            to = (page.parent / urllib.parse.unquote(path.partition("?")[0])).resolve() if path else page
            to = to / "index.html" if to.is_dir() else to
            if not to.exists():
                broken.add(f"{where}: {target} does not exist")
            elif anchor == "nested-classes":
                continue  # Doxygen names the section of a class whose nested classes are all private
            elif anchor and to in found and urllib.parse.unquote(anchor) not in found[to].ids and not anchor.startswith("__"):
                broken.add(f"{where}: {target}: there is no such place")
    for sheet in site.rglob("*.css"):
        foreign |= {f"{sheet.relative_to(site)} fetches {target}" for target in re.findall(r"(?:url\(|@import )['\"]?((?:https?:)?//[^'\")]+)", sheet.read_text(errors="replace"))}
    report(f"every link of {len(found)} pages leads somewhere", sorted(broken)[:40])
    report("nothing is fetched from the net", sorted(foreign)[:40])


make_pages()
make_api()
follow_links()
if not failed:
    print(f"the site: {os.path.relpath(site / 'index.html')}")
sys.exit(exit_code())
