// An ingester of any service that answers with JSON:
//
//     GET <url>?start=<milliseconds>&end=<milliseconds>
//     {"series": [{"name": "orders", "labels": {"shop": "berlin"}, "points": [[<milliseconds>, 12.5], …]}]}
//
// `null` stands for a missing value. A series that cannot be read is lost alone.

import { send } from 'anomd:plugin/http@0.1.0';
import { write } from 'anomd:plugin/log@0.1.0';

const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  required: ['url'],
  properties: {
    url: { type: 'string', pattern: '^https?://', description: 'The address that answers with JSON.' },
    token: { type: 'boolean', default: false, description: 'Send the secret `token` as a bearer token.' },
  },
};

// What a function throws must be an error of the contract; anything else would end the call
// as a trap, without its text.
const told = (work) => (...given) => {
  try {
    return work(...given);
  } catch (thrown) {
    if (thrown !== null && typeof thrown === 'object' && typeof thrown.tag === 'string') throw thrown;
    throw { tag: 'internal', val: String(thrown?.stack ?? thrown) };
  }
};

function ask(config, window) {
  const joint = config.url.includes('?') ? '&' : '?';
  const request = {
    method: 'get',
    target: { tag: 'url', val: `${config.url}${joint}start=${window.start}&end=${window.end}` },
    headers: [['accept', 'application/json']],
    auth: config.token ? { tag: 'bearer', val: 'token' } : undefined,
    blanks: [],
    body: new Uint8Array(),
    timeoutMs: undefined,
  };
  try {
    return send(request);
  } catch (thrown) {
    const fault = thrown?.payload ?? thrown;
    switch (fault?.tag) {
      case 'denied':
      case 'invalid':
        throw { tag: 'bad-config', val: fault.val };
      case 'timeout':
        throw { tag: 'unavailable', val: 'no answer came in time' };
      case 'too-large':
        throw { tag: 'unsupported', val: `the answer is larger than the limit of ${fault.val} bytes` };
      case 'transport':
        throw { tag: 'unavailable', val: fault.val };
      default:
        throw thrown;
    }
  }
}

function refuse(response, text) {
  const why = `HTTP ${response.status}: ${text.slice(0, 300)}`;
  if (response.status === 401 || response.status === 403) throw { tag: 'unauthorized', val: why };
  if (response.status === 429 || response.status === 503) {
    const header = response.headers.find(([name]) => name.toLowerCase() === 'retry-after');
    const seconds = header ? Number(header[1]) : NaN;
    throw { tag: 'busy', val: seconds >= 0 ? Math.round(seconds * 1000) : undefined };
  }
  if (response.status >= 500) throw { tag: 'unavailable', val: why };
  throw { tag: 'unsupported', val: why };
}

// The labels of a series, sorted by name as the contract wants them.
function key(series) {
  const labels = { ...series.labels, __name__: series.name };
  return Object.entries(labels)
    .map(([name, value]) => [name, String(value)])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function points(series) {
  const read = series.points.map(([time, value]) => {
    if (!Number.isSafeInteger(time)) throw new Error(`not a time in milliseconds: ${JSON.stringify(time)}`);
    if (value !== null && typeof value !== 'number') throw new Error(`not a number: ${JSON.stringify(value)}`);
    return [time, value ?? NaN];
  });
  return read.sort(([a], [b]) => a - b).filter(([time], i, all) => i === 0 || time > all[i - 1][0]);
}

function page(answer) {
  const keys = [];
  const offsets = [0];
  const times = [];
  const values = [];
  const lost = [];
  const seen = new Set();
  for (const series of answer.series) {
    try {
      if (typeof series.name !== 'string' || series.name === '') throw new Error('a series without a name');
      const labels = key(series);
      const identity = JSON.stringify(labels);
      if (seen.has(identity)) throw new Error('the same series twice');
      for (const [time, value] of points(series)) {
        times.push(BigInt(time));
        values.push(value);
      }
      seen.add(identity);
      keys.push(labels);
      offsets.push(values.length);
    } catch (thrown) {
      lost.push({ part: String(series?.name ?? '?'), error: { tag: 'unsupported', val: thrown.message } });
    }
  }
  return {
    samples: {
      keys,
      kinds: [],
      offsets: new Uint32Array(offsets),
      timestamps: new BigInt64Array(times),
      values: new Float64Array(values),
    },
    lost,
    next: undefined,
  };
}

export const about = {
  describe: () => ({
    name: 'http-json',
    version: '0.1.0',
    summary: 'Time series of any service that answers with JSON, in JavaScript',
    configSchema: JSON.stringify(schema),
    origins: ['{{config.url}}'],
    secrets: [{ name: 'token', purpose: 'Bearer token, sent where `token` is true' }],
  }),

  check: (config) => {
    const { url } = JSON.parse(config);
    return url.includes('#') ? [{ pointer: '/url', message: 'a fragment (#) is never sent: remove it' }] : [];
  },
};

export const ingest = {
  fetch: told((config, window) => {
    const response = ask(JSON.parse(config), window);
    const text = new TextDecoder().decode(response.body);
    if (response.status !== 200) refuse(response, text);
    let answer;
    try {
      answer = JSON.parse(text);
    } catch (error) {
      throw { tag: 'unsupported', val: `the answer is not JSON: ${error.message}` };
    }
    if (!Array.isArray(answer?.series)) throw { tag: 'unsupported', val: 'the answer has no list `series`' };
    write('debug', 'fetched', [['series', String(answer.series.length)]]);
    return page(answer);
  }),
};
