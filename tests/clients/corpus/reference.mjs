// What the reference implementation says of a document over our schema.
import { buildSchema, GraphQLError, Kind, parse, specifiedRules, validate } from "graphql";

/// Scalars of our own take a literal of the right kind and form; graphql-js knows none of them.
const FORMS = {
  DateTime: (literal) => literal.kind === Kind.STRING && /^\d{4}-\d\d-\d\dT/.test(literal.value),
  NaiveDate: (literal) => literal.kind === Kind.STRING && /^\d{4}-\d\d-\d\d$/.test(literal.value),
  Long: (literal) => literal.kind === Kind.INT && Number.isSafeInteger(Number(literal.value)),
};

/// The schema, with the scalars that it names.
export function schemaOf(sdl) {
  const schema = buildSchema(sdl);
  for (const [name, fits] of Object.entries(FORMS)) {
    const scalar = schema.getType(name);
    if (scalar === undefined) continue;
    scalar.parseLiteral = (literal) => {
      if (!fits(literal)) throw new GraphQLError(`no ${name}`);
      return literal.value;
    };
  }
  return schema;
}

/// What is wrong with a document; an empty list when it is valid.
export function faults(schema, query) {
  try {
    return validate(schema, parse(query), specifiedRules).map((error) => error.message);
  } catch (error) {
    if (error instanceof GraphQLError) return [error.message];
    throw error;
  }
}
