// Valid documents over a schema, as syntax trees: operations with nested fields, arguments, variables, fragments and directives.
import {
  getNamedType, getNullableType, isCompositeType, isEnumType, isInputObjectType, isInterfaceType, isListType, isNonNullType, isRequiredArgument,
  isRequiredInputField, Kind, parseType,
} from "graphql";

const DEEPEST = 3;

export const name = (value) => ({ kind: Kind.NAME, value });
const int = (value) => ({ kind: Kind.INT, value: String(value) });
export const string = (value) => ({ kind: Kind.STRING, value });
export const variable = (value) => ({ kind: Kind.VARIABLE, name: name(value) });
export const set = (selections) => ({ kind: Kind.SELECTION_SET, selections });
export const directive = (of, args) => ({ kind: Kind.DIRECTIVE, name: name(of), arguments: args });
export const argument = (of, value) => ({ kind: Kind.ARGUMENT, name: name(of), value });

/// One document: an operation of this kind with what it needs. `pick` makes the choices.
export function validDocument(schema, operation, pick) {
  const maker = new Maker(schema, pick);
  const root = { query: schema.getQueryType(), mutation: schema.getMutationType(), subscription: schema.getSubscriptionType() }[operation];
  const selectionSet = operation === "query" ? maker.selections(root, 0) : set([maker.field(root, pick.one(Object.values(root.getFields())), 0)]);
  const definition = {
    kind: Kind.OPERATION_DEFINITION, operation, name: name("Op"), variableDefinitions: maker.variables, directives: [], selectionSet,
  };
  return { kind: Kind.DOCUMENT, definitions: [definition, ...maker.fragments] };
}

class Maker {
  variables = [];
  fragments = [];
  aliases = 0;

  constructor(schema, pick) {
    Object.assign(this, { schema, pick });
  }

  selections(type, depth) {
    const fields = Object.values(type.getFields()).filter((field) => depth < DEEPEST || !isCompositeType(getNamedType(field.type)));
    const chosen = [{ kind: Kind.FIELD, name: name("__typename") }];
    for (let count = 1 + this.pick.below(3); count > 0 && fields.length > 0; count -= 1) {
      chosen.push(this.selection(type, this.pick.one(fields), depth));
    }
    return set(chosen);
  }

  selection(type, definition, depth) {
    const field = this.field(type, definition, depth);
    if (this.pick.chance(0.12)) {
      const on = isInterfaceType(type) || this.pick.chance(0.3) ? undefined : { kind: Kind.NAMED_TYPE, name: name(type.name) };
      return { kind: Kind.INLINE_FRAGMENT, typeCondition: on, directives: this.directives(), selectionSet: set([field]) };
    }
    if (this.pick.chance(0.12) && this.fragments.length < 3) {
      const fragment = name(`F${this.fragments.length}`);
      const typeCondition = { kind: Kind.NAMED_TYPE, name: name(type.name) };
      this.fragments.push({ kind: Kind.FRAGMENT_DEFINITION, name: fragment, typeCondition, directives: [], selectionSet: set([field]) });
      return { kind: Kind.FRAGMENT_SPREAD, name: fragment, directives: this.directives() };
    }
    return field;
  }

  field(type, definition, depth) {
    const args = definition.args.filter((arg) => isRequiredArgument(arg) || this.pick.chance(0.4));
    const composite = getNamedType(definition.type);
    this.aliases += 1;
    return {
      kind: Kind.FIELD,
      // Nothing that it could clash with.
      alias: name(`a${this.aliases}`),
      name: name(definition.name),
      arguments: args.map((arg) => argument(arg.name, this.value(arg.type, 0, arg.defaultValue !== undefined))),
      directives: depth > 0 ? this.directives() : [],
      selectionSet: isCompositeType(composite) ? this.selections(composite, depth + 1) : undefined,
    };
  }

  directives() {
    if (!this.pick.chance(0.1)) return [];
    const when = this.pick.chance(0.5) ? { kind: Kind.BOOLEAN, value: true } : this.declare("Boolean!");
    return [directive(this.pick.one(["include", "skip"]), [argument("if", when)])];
  }

  /// A value for a place of this type, now and then a variable.
  value(type, depth, hasDefault) {
    if (this.pick.chance(0.25)) {
      const stricter = isNonNullType(type) || this.pick.chance(0.7) ? String(type) : `${type}!`;
      const looser = isNonNullType(type) && hasDefault && this.pick.chance(0.3) ? String(getNullableType(type)) : stricter;
      return this.declare(looser);
    }
    if (!isNonNullType(type) && this.pick.chance(0.1)) return { kind: Kind.NULL };
    const inner = getNullableType(type);
    if (isListType(inner)) {
      if (this.pick.chance(0.2)) return this.value(inner.ofType, depth, false);
      return { kind: Kind.LIST, values: Array.from({ length: this.pick.below(3) }, () => this.value(inner.ofType, depth, false)) };
    }
    if (isEnumType(inner)) return { kind: Kind.ENUM, value: this.pick.one(inner.getValues()).name };
    if (isInputObjectType(inner)) {
      const fields = Object.values(inner.getFields()).filter((field) => isRequiredInputField(field) || (depth < 2 && this.pick.chance(0.4)));
      const member = (field) => ({
        kind: Kind.OBJECT_FIELD, name: name(field.name), value: this.value(field.type, depth + 1, field.defaultValue !== undefined),
      });
      return { kind: Kind.OBJECT, fields: fields.map(member) };
    }
    return this.scalar(inner.name);
  }

  scalar(type) {
    switch (type) {
      case "Int":
        return int(this.pick.one([0, 1, 7, 100, -5, 2147483647]));
      case "Long":
        return int(this.pick.one([0, 7, 4294967295, 9007199254740991]));
      case "Float":
        return this.pick.chance(0.5) ? int(3) : { kind: Kind.FLOAT, value: "2.5e1" };
      case "Boolean":
        return { kind: Kind.BOOLEAN, value: this.pick.chance(0.5) };
      case "ID":
        return this.pick.chance(0.2) ? int(12) : string("gen_01");
      case "DateTime":
        return string("2026-11-30T12:00:00Z");
      case "NaiveDate":
        return string("2026-11-30");
      case "UUID":
        return string("0190163d-8694-739b-aea5-966c26f8ad91");
      default:
        return string(this.pick.one(["", "a", "nothing of the kind", "\u{1f600}"]));
    }
  }

  declare(type) {
    const own = `v${this.variables.length}`;
    this.variables.push({ kind: Kind.VARIABLE_DEFINITION, variable: variable(own), type: parseType(type), directives: [] });
    return variable(own);
  }
}
