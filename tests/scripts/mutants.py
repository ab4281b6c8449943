# SPDX-License-Identifier: MIT
"""Small changes of meaning to a header, found in clang's syntax tree: a comparison moved by one, && for ||, a condition negated, + for -, a number
that is one greater, a statement left out.

All of a header's mutants go into one copy of it, each behind a switch - `(on(17) ? (a <= b) : (a < b))` - so that one build serves them all. What is
evaluated at compile time keeps its meaning: no test could run it otherwise. Lines stay where they are."""
import json
import re
import subprocess

RELATIONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
OPERATORS = {**RELATIONS, "&&": "||", "||": "&&", "+": "-", "-": "+", "*": "/", "/": "*", "%": "/", "+=": "-=", "-=": "+=", "<<": ">>", ">>": "<<",
             "&": "|", "|": "&"}
CALLS = {"CallExpr", "CXXMemberCallExpr", "CXXOperatorCallExpr", "CompoundAssignOperator", "ExprWithCleanups", "CStyleCastExpr", "UnaryOperator",
         "BinaryOperator"}
# What the compiler evaluates, or what is no code that runs.
COMPILE_TIME = {"StaticAssertDecl", "ConstantExpr", "RequiresExpr", "ConceptDecl", "EnumDecl", "TemplateArgument", "ClassTemplateSpecializationDecl",
                "VarTemplateSpecializationDecl", "FullComment", "CXXDefaultArgExpr", "CXXDefaultInitExpr",
                "UnaryExprOrTypeTraitExpr"}

# Asks for memory ahead of time, or asserts what the compiler has asserted: it may be left out, and nothing else comes of it.
MEANS_NOTHING = re.compile(r"(?:[\w.>\[\]()-]*(?:\.|->|::))?(?:__builtin_)?(?:prefetch|assert_)\w*(?:<[^()]*>)?\(")

SWITCH = r"""
#pragma once
#include <cstdio>
#include <cstdlib>
#include <type_traits>
namespace pulse_mutant {
inline unsigned char reached[1 << 16];
inline const int active = std::getenv("PULSE_MUTANT") ? std::atoi(std::getenv("PULSE_MUTANT")) : 0;
inline bool at(int id) noexcept { reached[id] = 1; return id == active; }
constexpr bool on(int id) noexcept { return std::is_constant_evaluated() ? false : at(id); }
struct Report {
  ~Report() {
    const char* const path = std::getenv("PULSE_REACHED");
    if (FILE* const out = path ? std::fopen(path, "a") : nullptr) {
      for (int id = 0; id < 1 << 16; ++id) if (reached[id]) std::fprintf(out, "%d\n", id);
      std::fclose(out);
    }
  }
};
inline const Report report;
}
"""


class Mutant:
    """`change` is what a report calls it; `form` puts the switch around the text as it stands: form(id, text)."""

    def __init__(self, begin, end, change, form):
        self.begin, self.end, self.change, self.form = begin, end, change, form


def documents(text):
    decoder, at = json.JSONDecoder(), text.find("{")
    while at != -1:
        document, end = decoder.raw_decode(text, at)
        yield document
        at = text.find("{", end)


def plain(text):
    """On one line, without comments."""
    return re.sub(r"\s+", " ", re.sub(r"//[^\n]*", "", text))


def operator_at(text, operator):
    """Where the operator stands outside all brackets; None where that is not told apart."""
    depth, found = 0, []
    for match in re.finditer(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|->|<=>|<<=?|>>=?|[<>=!+\-*/%&|]=|&&|\|\||\+\+|--|[()\[\]{}<>+\-*/%&|]', text):
        token = match[0]
        depth += (token in "([{") - (token in ")]}")
        if depth == 0 and token == operator and match.start() > 0:
            found.append(match.start())
    return found[0] if len(found) == 1 else None


class Finder:
    def __init__(self, path, source):
        self.path, self.source, self.file = path, source, None
        self.found = {}

    def add(self, begin, end, change, form):
        self.found.setdefault((begin, end, change), Mutant(begin, end, change, form))

    def choice(self, begin, end, change, other):
        """An expression that is another one where the mutant is on."""
        self.add(begin, end, change, lambda number, text: f"(::pulse_mutant::on({number}) ? ({other}) : ({text}))")

    def follow(self, value):
        """The file of what is printed last: a location names its file only where it changes."""
        if isinstance(value, dict):
            if "offset" in value and "file" in value:
                self.file = value["file"]
            for each in value.values():
                self.follow(each)
        elif isinstance(value, list):
            for each in value:
                self.follow(each)

    def walk(self, node, parent=None):
        kind = node.get("kind")
        if kind in COMPILE_TIME or node.get("constexpr") and kind in ("VarDecl", "VarTemplatePartialSpecializationDecl") or node.get("isImplicit"):
            return
        place = node.get("range", {})
        begin, end = place.get("begin", {}), place.get("end", {})
        if "offset" in begin and "offset" in end and "spellingLoc" not in begin:
            if kind in CALLS and MEANS_NOTHING.match(self.source[begin["offset"]:end["offset"] + end.get("tokLen", 1)]):
                return
            self.look(node, kind, parent, begin["offset"], end["offset"] + end.get("tokLen", 1))
        functions = 0
        for child in node.get("inner", []):
            if kind == "FunctionTemplateDecl" and re.fullmatch(r"(Function|CXXMethod|CXXConstructor|CXXConversion)Decl", child.get("kind", "")):
                functions += 1
                if functions > 1:  # instantiations of the first
                    continue
            if kind == "LambdaExpr" and child.get("kind") == "CXXRecordDecl":
                continue  # its body comes again
            if kind == "IfStmt" and node.get("isConstexpr") and child is node["inner"][0]:
                continue
            if re.fullmatch(r"(Function|CXXMethod|CXXConstructor|CXXConversion|FunctionTemplate|ClassTemplate)Decl", kind or "") and child.get("kind", "").endswith(
                    ("Expr", "Operator", "Literal")):
                continue  # what it requires
            self.walk(child, node)

    def look(self, node, kind, parent, begin, end):
        text = self.source[begin:end]
        if kind in ("BinaryOperator", "CompoundAssignOperator", "CXXOperatorCallExpr", "CXXRewrittenBinaryOperator"):
            self.operator(node, begin, end, text)
        elif kind == "UnaryOperator" and node.get("opcode") == "!" and text.startswith("!"):
            self.choice(begin, end, "drop !", f"static_cast<bool>({plain(text[1:])})")
        elif kind == "UnaryOperator" and node.get("opcode") in ("++", "--"):
            other = text.replace("++", "--") if "++" in text else text.replace("--", "++")
            self.choice(begin, end, f"{node['opcode']} -> {'--' if node['opcode'] == '++' else '++'}", plain(other))
        elif kind == "IntegerLiteral" and re.fullmatch(r"(0x)?[0-9a-fA-F']+[uUlL]*", text):
            self.choice(begin, end, "one more", f"{text} + 1")
            if node.get("value") == "1":
                self.choice(begin, end, "1 -> 0", f"{text} - 1")
        elif kind == "FloatingLiteral" and re.fullmatch(r"[0-9.eE+\-]+", text):
            self.choice(begin, end, "one more", f"{text} + 1")
        elif kind == "CXXBoolLiteralExpr" and text in ("true", "false"):
            self.choice(begin, end, f"not {text}", "false" if text == "true" else "true")
        elif kind == "CallExpr" and (least := re.match(r"std::(min|max)\b", text)):
            other = "max" if least[1] == "min" else "min"
            self.choice(begin, end, f"{least[1]} -> {other}", "std::" + other + plain(text[8:]))
        if kind in ("IfStmt", "ConditionalOperator") and not node.get("hasInit") and not node.get("hasVar") and not node.get("isConstexpr"):
            self.condition(node["inner"][0])
        statement = parent is not None and parent.get("kind") == "CompoundStmt"
        if kind == "CStyleCastExpr" and re.fullmatch(r"\(void\)\w+", text):
            return  # says that a name is not used, and does nothing
        if statement and (kind in CALLS or kind in ("ContinueStmt", "BreakStmt")) and text and text[-1] not in ";}":
            self.add(begin, end, "left out", lambda number, text: f"if (!::pulse_mutant::on({number})) {{ {text}; }}")

    def operator(self, node, begin, end, text):
        operator = node.get("opcode")
        if operator is None:
            called = json.dumps(node.get("inner", [{}])[0])
            name = re.search(r'"name": "operator([^"a-z]+)"', called)
            operator = name[1] if name else None
            if node["kind"] == "CXXRewrittenBinaryOperator":
                operator = next((each for each in RELATIONS if operator_at(text, each) is not None), None)
        if operator not in OPERATORS or operator == "+" and "string" in node.get("type", {}).get("qualType", ""):
            return
        at = operator_at(text, operator)
        if at is not None and text[at + len(operator):].strip():
            other = OPERATORS[operator]
            self.choice(begin, end, f"{operator} -> {other}", plain(text[:at] + other + text[at + len(operator):]))

    def condition(self, node):
        place = node.get("range", {})
        if "offset" not in place.get("begin", {}) or "offset" not in place.get("end", {}):
            return
        begin, end = place["begin"]["offset"], place["end"]["offset"] + place["end"].get("tokLen", 1)
        text = self.source[begin:end]
        if not text.startswith("!") and operator_at(text, "==") is None and operator_at(text, "!=") is None:
            negated = plain(text)
            self.add(begin, end, "negated", lambda number, text: f"(::pulse_mutant::on({number}) ? !({negated}) : static_cast<bool>({text}))")


def find(root, header, compiler="clang++-19"):
    """The mutants of include/<header>, in the order of the source."""
    path = root / "include" / header
    source = path.read_bytes().decode("latin-1")  # offsets are of bytes
    dump = subprocess.run([compiler, "-std=c++20", f"-I{root / 'include'}", "-fsyntax-only", "-w", "-x", "c++", "-Xclang", "-ast-dump=json", "-Xclang",
                           "-ast-dump-filter=pulse", "-"], input=f'#include "{header}"\n', text=True, capture_output=True, check=True).stdout
    finder = Finder(path, source)
    for document in documents(dump):
        finder.follow(document.get("loc"))
        if finder.file == str(path) and document.get("kind") == "NamespaceDecl":
            finder.walk(document)
        finder.follow(document)
    # A statement left out is no expression: it stands outside the others of its place.
    return source, sorted(finder.found.values(), key=lambda mutant: (mutant.begin, -mutant.end, mutant.change != "left out", mutant.change))


def render(source, mutants):
    """The header with all of them in it; mutants is [(number, Mutant)...] in the order of `find`."""

    def part(begin, end, inside):
        out, at = "", begin
        while inside:
            number, mutant = inside[0]
            if mutant.begin < at:  # overlaps without being nested: leave it
                inside = inside[1:]
                continue
            within = [pair for pair in inside[1:] if pair[1].begin >= mutant.begin and pair[1].end <= mutant.end]
            rest = [pair for pair in inside[1:] if pair not in within]
            out += source[at:mutant.begin] + mutant.form(number, part(mutant.begin, mutant.end, within))
            at, inside = mutant.end, rest
        return out + source[at:end]

    return part(0, len(source), mutants)
