// Changes that may make a document invalid, each of one kind; whether it then is, the reference says.
import { isInputType, isOutputType, Kind, parseType, parseValue, visit } from "graphql";
import { argument, directive, name, set, string, variable } from "./valid.mjs";

const LITERALS = [
  "0", "2147483648", "-2147483649", "9007199254740992", "1.0", "1e3", '"text"', '"1"', "true", "null", "LIVE", "red", "[]", "[1]", '["a", null]', "[[true]]",
  "{}", "{a: 1}", "$missing", "[$missing]", "{a: $missing}",
];

/// All nodes of some kinds, in order.
function nodes(document, ...kinds) {
  const found = [];
  visit(document, { enter: (node) => void (kinds.includes(node.kind) && found.push(node)) });
  return found;
}

/// Changes one of some nodes, if there is any.
const one = (kinds, change) => (document, pick, schema) => {
  const found = nodes(document, ...kinds);
  if (found.length > 0) change(pick.one(found), pick, schema, document);
};
const operation = (document) => document.definitions[0];
/// Nodes that a directive may be tried at. The root field of a subscription is none: the specification of 2025 allows no condition there, the
/// node refuses it, and graphql-js 16 does not know that rule yet.
const decorated = (change) => (document, pick) => {
  const root = operation(document).operation === "subscription" ? operation(document).selectionSet.selections[0] : undefined;
  change(pick.one(nodes(document, ...places).filter((node) => node !== root)));
};
const places = [Kind.FIELD, Kind.FRAGMENT_SPREAD, Kind.INLINE_FRAGMENT, Kind.FRAGMENT_DEFINITION, Kind.OPERATION_DEFINITION, Kind.VARIABLE_DEFINITION];
const typeNames = (schema) => Object.keys(schema.getTypeMap()).filter((type) => !type.startsWith("__"));
const namedType = (of) => ({ kind: Kind.NAMED_TYPE, name: name(of) });
const field = (of, alias) => ({ kind: Kind.FIELD, alias: alias && name(alias), name: name(of), arguments: [], directives: [] });

/// The changes by name. Each takes the document to change, the choices and the schema.
export const changes = {
  unknownField: one([Kind.FIELD], (node) => (node.name = name("nothing"))),
  fieldOfAnother: one([Kind.FIELD], (node, pick, _, document) => (node.name = pick.one(nodes(document, Kind.FIELD)).name)),
  noSelection: one([Kind.FIELD], (node) => (node.selectionSet = undefined)),
  selectionOnLeaf: one([Kind.FIELD], (node) => (node.selectionSet ??= set([field("__typename")]))),
  unknownArgument: one([Kind.FIELD, Kind.DIRECTIVE], (node) => (node.arguments = [...node.arguments ?? [], argument("nothing", string("a"))])),
  argumentLost: one([Kind.FIELD, Kind.DIRECTIVE], (node, pick) => node.arguments?.splice(pick.below(node.arguments.length), 1)),
  argumentTwice: one([Kind.FIELD, Kind.DIRECTIVE], (node) => node.arguments?.length && node.arguments.push(node.arguments[0])),
  otherValue: one([Kind.ARGUMENT, Kind.OBJECT_FIELD], (node, pick) => (node.value = parseValue(pick.one(LITERALS)))),
  otherItem: one([Kind.LIST], (node, pick) => node.values.push(parseValue(pick.one(LITERALS)))),
  unknownMember: one([Kind.OBJECT], (node) => node.fields.push({ kind: Kind.OBJECT_FIELD, name: name("nothing"), value: string("a") })),
  memberLost: one([Kind.OBJECT], (node, pick) => node.fields.splice(pick.below(node.fields.length), 1)),
  memberTwice: one([Kind.OBJECT], (node) => node.fields.length && node.fields.push(node.fields[0])),
  variableOfAnotherType: one([Kind.VARIABLE_DEFINITION], (node, pick, schema) => {
    const inputs = typeNames(schema).filter((type) => isInputType(schema.getType(type)));
    node.type = parseType(pick.one(["$", "$!", "[$]", "[$!]!"]).replace("$", () => pick.one(inputs)));
  }),
  variableWrapped: one([Kind.VARIABLE_DEFINITION], (node, pick) => {
    const inner = node.type.kind === Kind.NON_NULL_TYPE ? node.type.type : node.type;
    const list = { kind: Kind.LIST_TYPE, type: inner };
    node.type = pick.one([inner, list, { kind: Kind.NON_NULL_TYPE, type: inner }]);
  }),
  variableOfOutputType: one([Kind.VARIABLE_DEFINITION], (node, pick, schema) => {
    node.type = namedType(pick.one([...typeNames(schema).filter((type) => isOutputType(schema.getType(type))), "Nothing"]));
  }),
  variableDefault: one([Kind.VARIABLE_DEFINITION], (node, pick) => (node.defaultValue = parseValue(pick.one(LITERALS)))),
  variableLost: (document, pick) => operation(document).variableDefinitions.splice(pick.below(3), 1),
  variableTwice: (document) => operation(document).variableDefinitions.push(...operation(document).variableDefinitions.slice(0, 1)),
  variableUnused: (document) => {
    const unused = { kind: Kind.VARIABLE_DEFINITION, variable: variable("unused"), type: namedType("Int") };
    operation(document).variableDefinitions.push(unused);
  },
  fragmentUnused: (document, pick, schema) => document.definitions.push({
    kind: Kind.FRAGMENT_DEFINITION, name: name("Unused"), typeCondition: namedType(schema.getQueryType().name), selectionSet: set([field("__typename")]),
  }),
  fragmentUnknown: one([Kind.SELECTION_SET], (node) => node.selections.push({ kind: Kind.FRAGMENT_SPREAD, name: name("Nothing") })),
  fragmentTwice: (document) => document.definitions.push(...document.definitions.slice(1, 2)),
  fragmentInACircle: one([Kind.FRAGMENT_DEFINITION], (node) => node.selectionSet.selections.push({ kind: Kind.FRAGMENT_SPREAD, name: node.name })),
  fragmentOnAnother: one([Kind.FRAGMENT_DEFINITION, Kind.INLINE_FRAGMENT], (node, pick, schema) => {
    node.typeCondition = namedType(pick.one([...typeNames(schema), "Nothing"]));
  }),
  inlineOnAnother: one([Kind.SELECTION_SET], (node, pick, schema) => node.selections.push({
    kind: Kind.INLINE_FRAGMENT, typeCondition: namedType(pick.one(typeNames(schema))), selectionSet: set([field("__typename")]),
  })),
  unknownDirective: decorated((node) => (node.directives = [directive("nothing", [])])),
  directiveElsewhere: decorated((node) => (node.directives = [directive("include", [argument("if", { kind: Kind.BOOLEAN, value: true })])])),
  directiveOfTypes: decorated((node) => (node.directives = [directive("deprecated", [])])),
  directiveTwice: one([Kind.FIELD], (node) => {
    const skip = directive("skip", [argument("if", { kind: Kind.BOOLEAN, value: false })]);
    node.directives = [skip, skip];
  }),
  sameName: one([Kind.FIELD], (node, pick, _, document) => {
    const other = pick.one(nodes(document, Kind.FIELD));
    node.alias = other.alias ?? other.name;
  }),
  sameNames: (document) => nodes(document, Kind.FIELD).forEach((node) => (node.alias = name("a"))),
  noAliases: (document) => nodes(document, Kind.FIELD).forEach((node) => (node.alias = undefined)),
  typenameOfAnother: one([Kind.SELECTION_SET], (node, pick) => node.selections.push(field("__typename", pick.one(["a1", "a2", "a3"])))),
  secondRoot: (document) => operation(document).selectionSet.selections.push(field("__typename", "second")),
  operationTwice: (document) => document.definitions.push(operation(document)),
  operationWithoutName: (document) => document.definitions.push({ ...operation(document), name: undefined }),
  onlyOperationWithoutName: (document) => (operation(document).name = undefined),
  typeDefinition: (document) => document.definitions.push({ kind: Kind.SCALAR_TYPE_DEFINITION, name: name("Nothing") }),
};
