'use strict'
/* void, and the doors behind it. tillbook.test.js runs these too. */
const assert = require('node:assert/strict')
const test = require('node:test')
const { HError, sum } = require('./standin.js')
const { ASKED, GIVEN, platform, run } = require('./bench.js')

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
