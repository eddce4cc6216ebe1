'use strict'
/* Run with `node --test cloud-function/tillbook.test.js`; no package is needed. */
const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const test = require('node:test')
const { standin, HError, COLUMNS, sum } = require('./standin.js')

const SECRET = 'function-secret-of-the-tests'
process.env.TILLBOOK_FUNCTION_SECRET = SECRET
const tillbook = require('./tillbook.js')

const ORDER = {
  id: 47963,
  trade_no: '1gAtaEFcmu6DyHm5b0ycBSmNO302NGzA',
  transaction_no: 'XDiXbfLFyd8DpxSWqBUcb2jW1AvhVORC',
  status: 'success',
  total_cost: '398.00',
  refund_status: null,
  paid_at: 1539335940,
}
const OTHER = Object.assign({}, ORDER, { id: 47964, trade_no: 'T2', transaction_no: 'N2', total_cost: '80.00', paid_at: null, status: 'pending' })
const ASKED = { refund_key: 'till-3-0001', order_id: ORDER.id, refund_amount: '12.50', memo: '少一杯' }
const GIVEN = { id: 1001, refund_no: 'RFN1', refund_amount: '12.50', order_id: ORDER.id, memo: '少一杯', status: 'succeed', error_msg: null }

/** A platform as the function sees it; what the function logs is kept aside. */
function platform(t, options) {
  const made = standin([ORDER, OTHER], options)
  globalThis.BaaS = made.BaaS
  made.logged = []
  t.mock.method(console, 'error', (...words) => made.logged.push(words.join(' ')))
  return made
}

function macOf(op, args, secret = SECRET) {
  return crypto.createHmac('sha256', secret).update(op + '\n' + args).digest('hex')
}

function run(op, args) {
  const text = typeof args === 'string' ? args : JSON.stringify(args)
  return tillbook.main({ data: { op, args: text, mac: macOf(op, text) } })
}

function untouched(calls) {
  return Object.values(calls).every(number => number === 0)
}

// ---------------------------------------------------------------- mac

test('a wrong mac is refused before anything is looked at', async t => {
  const app = platform(t)
  const args = JSON.stringify(ASKED)
  const right = macOf('refund', args)
  const wrong = [
    { op: 'refund', args, mac: macOf('refund', args, 'another secret') },
    { op: 'refund', args, mac: macOf('lookup', args) },
    { op: 'refund', args: args.replace('12.50', '99.50'), mac: right },
    { op: 'refund', args, mac: right.toUpperCase() },
    { op: 'refund', args, mac: right.slice(0, 63) },
    { op: 'refund', args, mac: right + '0' },
    { op: 'refund', args, mac: '' },
    { op: 'refund', args, mac: null },
    { op: 'refund', args },
    { op: 'refund', args: ASKED, mac: right },
    { op: 'refund', args: 'not json', mac: right },
    {},
    null,
  ]
  for (const data of wrong) assert.deepEqual(await tillbook.main({ data }), { error: 'unauthorized' })
  assert.deepEqual(await tillbook.main(undefined), { error: 'unauthorized' })
  assert.ok(untouched(app.calls))
})

test('the mac covers op, a line feed and the text of args', async t => {
  platform(t)
  const args = '{"refund_key":"k"}'
  const mac = 'fea0d2b285b3000ed4b91f441cf1f12d45e51a41bcdb5ba471c57b9e75af42c7'
  assert.deepEqual(await tillbook.main({ data: { op: 'lookup', args, mac } }), { state: 'absent', refund: null, replayed: false })
})

test('the placeholder secret authorizes nobody', async t => {
  const app = platform(t)
  const path = require.resolve('./tillbook.js')
  delete require.cache[path]
  delete process.env.TILLBOOK_FUNCTION_SECRET
  const unset = require('./tillbook.js')
  process.env.TILLBOOK_FUNCTION_SECRET = SECRET
  for (const secret of ['REPLACE-WITH-A-LONG-RANDOM-SECRET', SECRET]) {
    const data = { op: 'health', args: '{}', mac: macOf('health', '{}', secret) }
    assert.deepEqual(await unset.main({ data }), { error: 'unauthorized' })
  }
  assert.deepEqual(app.logged.length, 2)
  assert.ok(untouched(app.calls))
})

// ---------------------------------------------------------------- refund

test('a refund goes out once and its answer is kept', async t => {
  const app = platform(t)
  assert.deepEqual(await run('refund', ASKED), { state: 'done', refund: GIVEN, replayed: false })
  assert.deepEqual(app.asked, [{ order_id: ORDER.id, refund_amount: 12.5, memo: '少一杯' }])
  assert.deepEqual(app.refunds, [{ order_id: ORDER.id, fen: 1250, memo: '少一杯' }])
  assert.deepEqual(await run('lookup', { refund_key: 'till-3-0001' }), { state: 'done', refund: GIVEN, replayed: true })
})

test('the row says started, with order and amount, before BaaS.refund is called', async t => {
  const seen = []
  const app = platform(t, { faults: { refund: () => { seen.push(app.rows.map(row => Object.assign({}, row))) } } })
  await run('refund', ASKED)
  const { refund_key, state, order_kind, order_value, refund_amount, memo } = seen[0][0]
  assert.equal(seen[0].length, 1)
  assert.deepEqual([refund_key, state, order_kind, order_value, refund_amount, memo], ['till-3-0001', 'started', 'order_id', '47963', '12.50', '少一杯'])
})

test('the same key again answers what is stored and refunds nothing', async t => {
  const app = platform(t)
  await run('refund', ASKED)
  assert.deepEqual(await run('refund', ASKED), { state: 'done', refund: GIVEN, replayed: true })
  // The same content in another spelling is the same content.
  assert.deepEqual(await run('refund', Object.assign({}, ASKED, { order_id: '47963', refund_amount: '12.5' })), { state: 'done', refund: GIVEN, replayed: true })
  assert.equal(app.calls.refund, 1)
})

test('concurrent calls of one key refund once', async t => {
  for (const width of [2, 16]) {
    const app = platform(t)
    const answers = await Promise.all(Array.from({ length: width }, () => run('refund', ASKED)))
    assert.equal(sum(app.refunds), 1250)
    assert.equal(app.calls.refund, 1)
    assert.deepEqual(answers.filter(one => !one.replayed), [{ state: 'done', refund: GIVEN, replayed: false }])
    assert.ok(answers.filter(one => one.replayed).every(one => one.state === 'started' || one.state === 'done'))
    assert.equal(app.rows.length, 1)
  }
})

test('two keys are two refunds', async t => {
  const app = platform(t)
  await Promise.all([run('refund', ASKED), run('refund', Object.assign({}, ASKED, { refund_key: 'till-3-0002' }))])
  assert.equal(sum(app.refunds), 2500)
})

test('other content under one key is a conflict and refunds nothing', async t => {
  const app = platform(t)
  await run('refund', ASKED)
  const others = [
    { refund_key: 'till-3-0001', order_id: ORDER.id, refund_amount: '12.51' },
    { refund_key: 'till-3-0001', order_id: OTHER.id, refund_amount: '12.50' },
    { refund_key: 'till-3-0001', trade_no: ORDER.trade_no, refund_amount: '12.50' },
  ]
  for (const args of others) assert.deepEqual(await run('refund', args), { state: 'conflict', refund: null, replayed: false })
  assert.equal(app.calls.refund, 1)
  assert.deepEqual(await run('lookup', { refund_key: 'till-3-0001' }), { state: 'done', refund: GIVEN, replayed: true })
})

test('each way to name an order reaches BaaS.refund as it is', async t => {
  const app = platform(t)
  const named = [{ order_id: ORDER.id }, { trade_no: ORDER.trade_no }, { transaction_no: ORDER.transaction_no }]
  for (const [at, order] of named.entries()) {
    const answer = await run('refund', Object.assign({ refund_key: 'k' + at, refund_amount: '1' }, order))
    assert.equal(answer.state, 'done')
  }
  assert.deepEqual(app.asked, named.map(order => Object.assign({ refund_amount: 1 }, order)))
})

test('a refund that BaaS declines is failed and stays failed', async t => {
  const app = platform(t)
  const asked = Object.assign({}, ASKED, { refund_amount: '398.01' })
  const given = Object.assign({}, GIVEN, { refund_amount: '398.01', status: 'failed', error_msg: '可退金额不足' })
  assert.deepEqual(await run('refund', asked), { state: 'failed', refund: given, replayed: false })
  assert.deepEqual(await run('refund', asked), { state: 'failed', refund: given, replayed: true })
  assert.deepEqual([app.calls.refund, app.refunds], [1, []])
})

test('a status nobody documents is done and handed on as it is', async t => {
  platform(t, { faults: { refund: () => ({ answer: { status: 201, data: { id: 1, status: 'processing' } } }) } })
  const given = { id: 1, refund_no: null, refund_amount: null, order_id: null, memo: null, status: 'processing', error_msg: null }
  assert.deepEqual(await run('refund', ASKED), { state: 'done', refund: given, replayed: false })
})

test('BaaS.refund that throws after doing it leaves started, for ever, and is not called again', async t => {
  const app = platform(t, { faults: { refund: () => ({ after: new HError(601, 'timeout') }) } })
  assert.deepEqual(await run('refund', ASKED), { state: 'started', refund: null, replayed: false })
  app.settings.faults = {}
  assert.deepEqual(await run('refund', ASKED), { state: 'started', refund: null, replayed: true })
  assert.deepEqual(await run('lookup', { refund_key: 'till-3-0001' }), { state: 'started', refund: null, replayed: true })
  assert.deepEqual(await run('void', { refund_key: 'till-3-0001' }), { state: 'started', refund: null, replayed: true })
  assert.deepEqual([app.calls.refund, sum(app.refunds), app.rows[0].note], [1, 1250, 'BaaS.refund threw: 601: 601: timeout'])
})

test('a row that cannot be filled does not hide what BaaS.refund said', async t => {
  const app = platform(t, { faults: { update: () => ({ before: new HError(500, 'no') }) } })
  assert.deepEqual(await run('refund', ASKED), { state: 'done', refund: GIVEN, replayed: false })
  assert.equal(app.calls.update, 3)
  app.settings.faults = {}
  assert.deepEqual(await run('refund', ASKED), { state: 'started', refund: null, replayed: true })
  assert.equal(app.calls.refund, 1)
})

test('a row that cannot be filled at first is filled at last', async t => {
  platform(t, { faults: { update: number => (number < 3 ? { before: new HError(500, 'no') } : {}) } })
  await run('refund', ASKED)
  assert.deepEqual(await run('lookup', { refund_key: 'till-3-0001' }), { state: 'done', refund: GIVEN, replayed: true })
})

// ---------------------------------------------------------------- void

test('void shuts the door: a later refund under the key sends nothing', async t => {
  const app = platform(t)
  const tombstone = { state: 'void', refund: null, replayed: false }
  assert.deepEqual(await run('void', { refund_key: 'till-3-0001' }), tombstone)
  assert.deepEqual(await run('void', { refund_key: 'till-3-0001' }), Object.assign({}, tombstone, { replayed: true }))
  assert.deepEqual(await run('refund', ASKED), Object.assign({}, tombstone, { replayed: true }))
  assert.deepEqual(await run('lookup', { refund_key: 'till-3-0001' }), Object.assign({}, tombstone, { replayed: true }))
  assert.equal(app.calls.refund, 0)
})

test('void after a refund answers the refund', async t => {
  const app = platform(t)
  await run('refund', ASKED)
  assert.deepEqual(await run('void', { refund_key: 'till-3-0001' }), { state: 'done', refund: GIVEN, replayed: true })
  assert.equal(app.rows[0].state, 'done')
})

test('a void and a refund at once: either the tombstone stands and nothing was sent, or the refund went out', async t => {
  for (const order of [['void', 'refund'], ['refund', 'void']]) {
    const app = platform(t)
    const answers = await Promise.all(order.map(op => run(op, op === 'void' ? { refund_key: 'till-3-0001' } : ASKED)))
    const voided = answers[order.indexOf('void')]
    assert.equal(app.calls.refund, voided.state === 'void' ? 0 : 1)
    assert.equal(answers[order.indexOf('refund')].state, voided.state === 'void' ? 'void' : 'done')
    assert.equal(app.rows.length, 1)
  }
})

test('behind a shut door the same refund goes out once, and a request for the shut one that lands late finds it shut', async t => {
  const app = platform(t)
  const [first, second, third] = ['', '.1', '.2'].map(door => Object.assign({}, ASKED, { refund_key: 'till-3-0001' + door }))
  const tombstone = { state: 'void', refund: null, replayed: false }
  const late = Object.assign({}, tombstone, { replayed: true })
  assert.deepEqual(await run('void', { refund_key: first.refund_key }), tombstone)
  assert.deepEqual(await run('lookup', { refund_key: second.refund_key }), { state: 'absent', refund: null, replayed: false })
  assert.deepEqual(await run('void', { refund_key: second.refund_key }), tombstone)
  assert.deepEqual(await run('refund', third), { state: 'done', refund: GIVEN, replayed: false })
  assert.deepEqual(await run('refund', first), late)
  assert.deepEqual(await run('refund', second), late)
  assert.deepEqual(await run('refund', third), { state: 'done', refund: GIVEN, replayed: true })
  assert.deepEqual(await run('void', { refund_key: third.refund_key }), { state: 'done', refund: GIVEN, replayed: true })
  assert.deepEqual(await run('lookup', { refund_key: first.refund_key }), late)
  assert.deepEqual([app.calls.refund, sum(app.refunds)], [1, 1250])
})

test('a door opens only behind a shut one, for a refund and for a void', async t => {
  const app = platform(t)
  const conflict = { state: 'conflict', refund: null, replayed: false }
  const second = Object.assign({}, ASKED, { refund_key: 'till-3-0001.1' })
  const third = Object.assign({}, ASKED, { refund_key: 'till-3-0001.2' })
  const refused = async () => {
    for (const args of [second, third]) {
      assert.deepEqual(await run('refund', args), conflict)
      assert.deepEqual(await run('void', { refund_key: args.refund_key }), conflict)
    }
  }
  // Nothing at the first door: it may still arrive.
  await refused()
  await run('refund', ASKED)
  await refused()
  assert.deepEqual([app.calls.refund, app.rows.length], [1, 1])
})

test('two doors of one key at once: whatever the order, one refund at most goes out', async t => {
  for (const order of [['refund', 'void', 'again'], ['again', 'refund', 'void'], ['void', 'again', 'refund'], ['again', 'void', 'refund']]) {
    const app = platform(t)
    const calls = {
      refund: () => run('refund', ASKED),
      void: () => run('void', { refund_key: 'till-3-0001' }),
      again: () => run('refund', Object.assign({}, ASKED, { refund_key: 'till-3-0001.1' })),
    }
    await Promise.all(order.map(name => calls[name]()))
    assert.ok(app.calls.refund <= 1, order.join())
  }
})

test('without the unique index a later door sends nothing either', async t => {
  const app = platform(t)
  await run('void', { refund_key: 'till-3-0001' })
  app.settings.unique = false
  const answer = await run('refund', Object.assign({}, ASKED, { refund_key: 'till-3-0001.1' }))
  assert.equal(answer.error, 'not_enforced: column refund_key of table tillbook_refunds has no unique index')
  assert.deepEqual([app.calls.refund, app.rows.length], [0, 1])
})

test('a tombstone that another call was shown is never taken back', async t => {
  // The first void makes its row and cannot prove it.
  const app = platform(t, { faults: { save: at => (at === 2 ? { before: new HError(500, 'no') } : {}) } })
  await assert.rejects(run('void', { refund_key: 'till-3-0001' }), { code: 500 })
  assert.deepEqual(await run('void', { refund_key: 'till-3-0001' }), { state: 'void', refund: null, replayed: true })
  assert.equal((await run('refund', ASKED)).state, 'void')
  assert.deepEqual([app.calls.refund, app.rows.length], [0, 1])
})

test('lookup of an unknown key is absent and makes nothing', async t => {
  const app = platform(t)
  assert.deepEqual(await run('lookup', { refund_key: 'nobody' }), { state: 'absent', refund: null, replayed: false })
  assert.deepEqual(app.rows, [])
})

// ---------------------------------------------------------------- the table

test('health proves the index and leaves nothing behind', async t => {
  const app = platform(t)
  assert.deepEqual(await run('health', {}), { index_enforced: true, version: '2', error: null })
  assert.deepEqual([app.rows, app.calls.refund], [[], 0])
})

test('without the unique index nothing is sent and nothing is left behind', async t => {
  const app = platform(t, { unique: false })
  const why = 'not_enforced: column refund_key of table tillbook_refunds has no unique index'
  assert.deepEqual(await run('health', {}), { index_enforced: false, version: '2', error: why })
  assert.deepEqual(await run('refund', ASKED), { error: why })
  assert.deepEqual(await run('void', { refund_key: 'till-3-0001' }), { error: why })
  assert.deepEqual(await Promise.all([run('refund', ASKED), run('refund', ASKED)]), [{ error: why }, { error: why }])
  assert.deepEqual([app.rows, app.calls.refund], [[], 0])
})

test('an index that is dropped after health stops refunds at once', async t => {
  const app = platform(t)
  await run('health', {})
  await run('refund', ASKED)
  app.settings.unique = false
  const answer = await run('refund', ASKED)
  assert.equal(answer.error, 'not_enforced: column refund_key of table tillbook_refunds has no unique index')
  assert.deepEqual([app.calls.refund, app.rows.length], [1, 1])
})

test('without the table, or with a column missing, nothing is sent', async t => {
  const bare = platform(t, { table: false })
  assert.deepEqual(await run('health', {}), { index_enforced: false, version: '2', error: '404: 404: not found' })
  await assert.rejects(run('refund', ASKED), { code: 404 })
  assert.equal(bare.calls.refund, 0)
  for (const column of COLUMNS.filter(name => name !== 'memo')) {
    const app = platform(t, { columns: COLUMNS.filter(name => name !== column) })
    const why = 'not_enforced: the table does not keep column ' + column + ' as a string'
    assert.deepEqual(await run('refund', ASKED), { error: why })
    assert.deepEqual(await run('health', {}), { index_enforced: false, version: '2', error: why })
    assert.deepEqual([app.rows, app.calls.refund], [[], 0])
  }
})

test('a fault of the table before the claim is proven sends nothing', async t => {
  const faults = [[1, 'before'], [1, 'after'], [2, 'before']]
  for (const [number, when] of faults) {
    const app = platform(t, { faults: { save: at => (at === number ? { [when]: new HError(500, 'no') } : {}) } })
    await assert.rejects(run('refund', ASKED), { code: 500 })
    assert.equal(app.calls.refund, 0)
    // Only a row that landed although its save failed stays; it answers started and is never sent.
    assert.equal(app.rows.length, when === 'after' ? 1 : 0)
  }
})

test('a table that refuses every row is told from a key that is taken', async t => {
  const app = platform(t, { faults: { save: () => ({ before: new HError(400, 'bad column') }) } })
  const answer = await run('refund', ASKED)
  assert.match(answer.error, /^not_enforced: the table refused a row whose key is not taken/)
  assert.equal(app.calls.refund, 0)
})

// ---------------------------------------------------------------- malformed

test('an amount that is not exact to two decimals is refused and sends nothing', async t => {
  const app = platform(t)
  const amounts = ['12.505', '12.500', '0.001', '0', '0.00', '-1.00', '+1.00', '1e2', '', ' 1.00', '1,000.00', '.5', '5.', '01.00', '¥5', '0x10', 'NaN', '1234567890123.00', 12.5, null, undefined]
  for (const refund_amount of amounts) {
    const answer = await run('refund', Object.assign({}, ASKED, { refund_amount }))
    assert.match(answer.error, /^malformed: refund_amount /, String(refund_amount))
  }
  assert.ok(untouched(app.calls))
})

test('an amount reaches BaaS.refund exact to the fen', async t => {
  const app = platform(t)
  const amounts = [['0.01', 0.01], ['0.1', 0.1], ['0.29', 0.29], ['1.10', 1.1], ['4.35', 4.35], ['80', 80]]
  for (const [at, [refund_amount]] of amounts.entries()) {
    await run('refund', { refund_key: 'k' + at, order_id: ORDER.id, refund_amount })
  }
  assert.deepEqual(app.asked.map(one => one.refund_amount), amounts.map(one => one[1]))
  assert.deepEqual(app.refunds.map(one => one.fen), [1, 10, 29, 110, 435, 8000])
})

test('a malformed call is refused by name and touches nothing', async t => {
  const app = platform(t)
  const key = 'malformed: refund_key must be 1 to 32 of 0-9 A-Z a-z _ -, after them at most a dot and a count from 1'
  const one = 'malformed: exactly one of order_id, trade_no, transaction_no is wanted'
  const table = [
    ['refund', 'no json', 'malformed: args is not JSON'],
    ['refund', '[]', 'malformed: args is not an object'],
    ['refund', 'null', 'malformed: args is not an object'],
    ['pay', {}, 'malformed: unknown op'],
    ['constructor', {}, 'malformed: unknown op'],
    ['refund', Object.assign({}, ASKED, { refund_key: 'x'.repeat(33) }), key],
    ['refund', Object.assign({}, ASKED, { refund_key: 'probe:1' }), key],
    ['lookup', {}, key],
    ...['k.', '.1', 'k.0', 'k.01', 'k.1.1', 'k.-1', 'k.1e1', 'k.12345678901', 'k.1\n', 'x'.repeat(33) + '.1'].map(refund_key => ['void', { refund_key }, key]),
    ['void', { refund_key: '' }, key],
    ['refund', Object.assign({}, ASKED, { order_id: undefined }), one],
    ['refund', Object.assign({}, ASKED, { trade_no: 'T' }), one],
    ['refund', Object.assign({}, ASKED, { order_id: 1.5 }), 'malformed: order_id is not a whole number'],
    ['refund', Object.assign({}, ASKED, { order_id: 'x' }), 'malformed: order_id is not a whole number'],
    ['refund', Object.assign({}, ASKED, { memo: 5 }), 'malformed: memo is not a text'],
    ['get', {}, one],
    ['get', { trade_no: '' }, 'malformed: trade_no is not a text'],
    ['list', { filter: [] }, 'malformed: filter is not an object'],
    ['list', { filter: { colour: 'red' } }, 'malformed: unknown filter colour'],
    ['list', { limit: -1 }, 'malformed: limit is not a count'],
    ['list', { offset: '5' }, 'malformed: offset is not a count'],
  ]
  for (const [op, args, error] of table) assert.deepEqual(await run(op, args), { error })
  assert.ok(untouched(app.calls))
})

// ---------------------------------------------------------------- orders

test('list answers a page of the whole app in the list shape', async t => {
  const app = platform(t)
  const meta = { next: null, previous: null, total_count: 2, limit: 20, offset: 0 }
  assert.deepEqual(await run('list', {}), { meta, objects: [ORDER, OTHER] })
  assert.deepEqual(await run('list', { filter: {}, limit: 1, offset: 1 }), { meta: Object.assign({}, meta, { limit: 1, offset: 1 }), objects: [OTHER] })
  assert.deepEqual((await run('list', { filter: { status: 'success', paid_at__gte: 1539335940, paid_at__lte: 1539335940 } })).objects, [ORDER])
  assert.deepEqual(app.listed[2], { limit: 20, offset: 0, filter: { status: 'success', paid_at__gte: 1539335940, paid_at__lte: 1539335940 } })
})

test('get answers the orders that bear a number, in the list shape', async t => {
  platform(t)
  const meta = { next: null, previous: null, total_count: 1, limit: 20, offset: 0 }
  for (const args of [{ order_id: ORDER.id }, { trade_no: ORDER.trade_no }, { transaction_no: ORDER.transaction_no }]) {
    assert.deepEqual(await run('get', args), { meta, objects: [ORDER] })
  }
  assert.deepEqual(await run('get', { trade_no: 'nobody' }), { meta: Object.assign({}, meta, { total_count: 0 }), objects: [] })
})

test('a list that fails is thrown, never an empty page', async t => {
  platform(t, { faults: { getOrderList: () => ({ before: new HError(500, 'no') }) } })
  await assert.rejects(run('list', {}), { code: 500 })
})
