// Makes calls with the original platform's official client and prints what it
// gives, one line of JSON a call.
const algorithmia = require('algorithmia');
const [address, key] = process.argv.slice(2);
const client = algorithmia.client(key, address);

const pipe = (client, path, input) => new Promise((resolve) => {
  client.algo(path).pipe(input).then((response) => {
    let got;
    try {
      got = response.get();
      if (Buffer.isBuffer(got)) got = { buffer: got.toString('hex') };
    } catch (thrown) {
      got = { thrown };
    }
    resolve({ status: response.status, got, error: response.error, metadata: response.metadata });
  });
});
const raw = (path, data, type) => new Promise((resolve) => {
  client.req('/v1/algo/' + path, 'POST', data, { 'Content-Type': type }, (body, status) => resolve({ status, got: Buffer.isBuffer(body) ? { buffer: body.toString('hex') } : body }));
});

// later makes a call that is not waited for, and asks for its result afterwards.
const later = async (path, input) => {
  const response = await new Promise((resolve) => client.algo(path).pipe(input).then(resolve));
  const accepted = await new Promise((resolve) => client.req('/v1/algo/' + path, 'POST', input, { 'Content-Type': 'text/plain' }, resolve));
  const result = await new Promise((resolve) => client.req('/v1/async/' + accepted.request_id + '/result?wait=30', 'GET', '', {}, resolve));
  return { status: response.status, error: response.error, got: { async: accepted.async, id: typeof accepted.request_id, result: result.result } };
};

(async () => {
  const say = async (name, call) => console.log(JSON.stringify({ name, ...await call }));
  await say('text', pipe(client, 'foo/bar', 'Neo'));
  await say('json', pipe(client, 'foo/bar', { name: 'Neo', list: [1, 2] }));
  await say('binary', pipe(client, 'foo/bar', Buffer.from([0, 1, 255])));
  await say('by owner, name and version', pipe(client, 'neo/Hello/0123456789abcdef0123456789abcdef01234567', 'Neo'));
  await say('raw text', raw('foo/bar?output=raw', 'Neo', 'text/plain'));
  await say('raw binary', raw('foo/bar?output=raw', Buffer.from([7, 8]), 'application/octet-stream'));
  await say('stdout', pipe(client, 'foo/bar?stdout=true', 'print'));
  await say('void', later('foo/bar?output=void', 'Neo'));
  await say('error', pipe(client, 'foo/bar', 'raise'));
  await say('time-out', pipe(client, 'foo/bar?timeout=1', 'hang'));
  await say('wrong key', pipe(algorithmia.client('simWrong', address), 'foo/bar', 'Neo'));
  await say('unknown algorithm', pipe(client, 'foo/nothing', 'Neo'));
})();
