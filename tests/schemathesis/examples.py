"""Whether every schema of the document is one, and every example in it is as its schema says. Reads the document from standard input."""

import json
import sys

import jsonschema_rs

document = json.load(sys.stdin)
examples = faults = 0


def fault(where, error):
    global faults
    faults += 1
    print(f"{where}: {error}", file=sys.stderr)


def bodies():
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation.get("requestBody", {})
            for status, response in operation["responses"].items():
                yield f"{method} {path} {status}", response


for name, schema in document["components"]["schemas"].items():
    try:
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    except Exception as error:
        fault(name, error)
for where, body in bodies():
    for kind, content in body.get("content", {}).items():
        # References in it begin at the root of the document.
        schema = {"components": document["components"], **content["schema"]}
        validator = jsonschema_rs.Draft202012Validator(schema)
        for name, example in content.get("examples", {}).items():
            examples += 1
            for error in validator.iter_errors(example["value"]):
                fault(f"{where} {kind} {name}", error)
print(f"{examples} examples")
sys.exit(1 if faults else 0)
