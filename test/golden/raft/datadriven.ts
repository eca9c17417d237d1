/**
 * The format of the transcripts and tables of etcd-io/raft: a command with arguments, lines of input, `----`, the expected
 * output up to a blank line (or, where the output has blank lines, between doubled `----`). `#` begins a comment.
 */
export type Argument = { key: string; values: string[] };
export type Case = { line: number; command: string; args: Argument[]; input: string; expected: string };

export function parseCases(text: string): Case[] {
  const lines = text.split("\n");
  const cases: Case[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at]!;
    if (line.trim() === "" || line.startsWith("#")) {
      at++;
      continue;
    }
    const start = at + 1;
    const { command, args } = parseCommand(line.replace(/\s#.*$/, ""));
    at++;
    const input: string[] = [];
    while (at < lines.length && lines[at] !== "----") input.push(lines[at++]!);
    at++;
    const expected: string[] = [];
    if (lines[at] === "----") {
      at++;
      while (at < lines.length && !(lines[at] === "----" && lines[at + 1] === "----")) expected.push(lines[at++]!);
      at += 2;
    } else {
      while (at < lines.length && lines[at] !== "") expected.push(lines[at++]!);
    }
    cases.push({ line: start, command, args, input: input.join("\n").trim(), expected: expected.join("\n") });
  }
  return cases;
}

/** `name key key=value key=(a, b)`. */
export function parseCommand(line: string): { command: string; args: Argument[] } {
  const words = line.match(/[^\s=]+=\([^)]*\)|\S+/g) ?? [];
  const args = words.slice(1).map((word): Argument => {
    const equals = word.indexOf("=");
    if (equals < 0) return { key: word, values: [] };
    const value = word.slice(equals + 1);
    const values = value.startsWith("(") ? value.slice(1, -1).split(/[,\s]+/) : [value];
    return { key: word.slice(0, equals), values: values.filter((each) => each !== "") };
  });
  return { command: words[0] ?? "", args };
}
