"""Prints the GraphQL documents of the installed clients, one JSON object per line.

Documents are the string constants of Python modules and the strings of the Go core that begin with
a definition. A constant that is completed when the program runs has placeholders; each is removed.
"""
import ast
import json
import pathlib
import re
import sys
import sysconfig

DEFINITION = re.compile(r"\s*(?:#[^\n]*\n\s*)*(?:query|mutation|subscription|fragment)\b[^{]*\{")
IN_BINARY = re.compile(rb"(?:query|mutation|subscription|fragment) [A-Z][A-Za-z]* ?[({o][\t\n\x20-\x7e]*")


def text(node):
    """Returns the text of a constant or of an f-string, whose placeholders become `$$`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part) if isinstance(part, ast.Constant) else "$$" for part in node.values)
    return ""


def constants(module):
    tree = ast.parse(module.read_text(encoding="utf-8", errors="replace"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    return [text(node) for node in ast.walk(tree) if id(node) not in parts and text(node)]


def whole(document):
    """Returns the definitions at the start of a text, up to the bracket that closes the last one."""
    end = depth = 0
    for i, char in enumerate(document):
        if char in "{(":
            depth += 1
        elif char in "})":
            depth -= 1
            if depth < 0:
                break
            if depth == 0 and char == "}":
                end = i + 1
                rest = document[end:]
                if not DEFINITION.match(rest):
                    break
    return document[:end]


def clean(document):
    """Removes the placeholders of a document that is completed when the program runs."""
    if "{{" in document:
        document = re.sub(r"(?<!\{)\{\w*\}(?!\})", "$$", document)
        document = document.replace("{{", "{").replace("}}", "}")
    document = document.replace("%s", "$$")
    document = re.sub(r"\.\.\.\s*\$\$", "", document)
    # The name of a field.
    document = re.sub(r"\$\$\s*\((?=\w)", "__typename(", document)
    document = document.replace("$$", "")
    document = re.sub(r"\$?\b(?:_[A-Z][A-Za-z_]*_|ID_TYPE|ID_VALUE)\b(?:\s*:\s*[^\s,)}]+)?,?", "", document)
    document = re.sub(r"\(\s*\)", "", document)
    return re.sub(r"(:\s*)?\{\s*\}", lambda it: it[0] if it[1] else "{ __typename }", document)


packages = pathlib.Path(sysconfig.get_path("purelib"))
for package in sys.argv[1:]:
    for path in sorted((packages / package).rglob("*")):
        name = str(path.relative_to(packages))
        if "/vendor/" in name:
            continue
        if path.suffix == ".py":
            found = [it for it in constants(path) if DEFINITION.match(it)]
        elif path.name == "wandb-core":
            found = [it.decode() for it in IN_BINARY.findall(path.read_bytes())]
            found = [whole(it) for it in found]
        else:
            continue
        for document in found:
            print(json.dumps({"place": name, "document": clean(document)}))
