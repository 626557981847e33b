// A reporter for node --test: a line for each test, and for those inside one only if they fail.
export default async function* quiet(source) {
  for await (const {type, data} of source) {
    const took = data.details ? ` (${Math.round(data.details.duration_ms)} ms)` : '';
    if (type === 'test:fail') {
      const {error} = data.details;
      yield `FAIL ${data.name}${took}\n`;
      if (error?.failureType !== 'subtestsFailed') yield `${error?.cause?.stack ?? error?.cause ?? error}\n`;
    } else if (type === 'test:pass' && data.nesting === 0) {
      yield `ok   ${data.name}${took}\n`;
    } else if (type === 'test:diagnostic' && data.nesting === 0 && /^(pass|fail|cancelled|skipped) /.test(data.message)) {
      yield `${data.message}\n`;
    } else if (type === 'test:stdout' || type === 'test:stderr') {
      yield data.message;
    }
  }
}
