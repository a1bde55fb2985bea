// Lint rules of this repository that no linter ships. Plain JavaScript: oxlint loads it as it is.

/**
 * `client.query<Row>(…)` claims a type for rows that nothing has checked. A hand-written statement is
 * `statement(name, rowSchema, sql)`, whose rows are checked against the schema.
 */
const noTypedQuery = {
  create(context) {
    return {
      CallExpression(node) {
        const { callee, typeArguments } = node
        if (!typeArguments || callee.type !== 'MemberExpression') return
        if (callee.property.type !== 'Identifier' || callee.property.name !== 'query') return
        context.report({ node, message: 'Use statement(name, rowSchema, sql): rows are checked.' })
      },
    }
  },
}

export default {
  meta: { name: 'edp' },
  rules: { 'no-typed-query': noTypedQuery },
}
