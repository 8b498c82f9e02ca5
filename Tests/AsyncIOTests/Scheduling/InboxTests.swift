// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct InboxTests {
  /// Takes all that is there, and counts it.
  private func take(_ inbox: Inbox) -> Int {
    let queue = ReadyQueue()
    inbox.move(to: queue, atMost: .max)
    return queue.count
  }

  /// Says that the reader sleeps, as soon as that is allowed: the first time after entries it looks again instead.
  private func fallAsleep(_ inbox: Inbox) -> Bool { inbox.willSleep() || inbox.willSleep() }

  @Test func `L-24: a loop that sleeps is rung for the first entry only`() {
    let inbox = Inbox()
    #expect(inbox.leave(.nothing) == .taken)
    #expect(take(inbox) == 1)
    #expect(fallAsleep(inbox))
    #expect(inbox.leave(.nothing) == .mustRing)
    #expect(inbox.leave(.nothing) == .taken)
    inbox.didWake()
    #expect(inbox.leave(.nothing) == .taken)
    #expect(!inbox.isEmpty)
  }

  @Test func `L-24: a loop that woke up by itself is not rung`() {
    let inbox = Inbox()
    #expect(inbox.willSleep())
    inbox.didWake()
    #expect(inbox.leave(.nothing) == .taken)
  }

  @Test func `L-23: a loop does not go to sleep over work that came before`() {
    let inbox = Inbox()
    _ = inbox.leave(.nothing)
    #expect(!inbox.willSleep())
    // And it is awake: nobody needs to ring it.
    #expect(inbox.leave(.nothing) == .taken)
    #expect(take(inbox) == 2)
    #expect(inbox.isEmpty)
    #expect(fallAsleep(inbox))
  }

  @Test func `L-27: a closed inbox refuses all but jobs, and says so`() {
    let inbox = Inbox()
    #expect(inbox.willSleep())
    inbox.close()
    #expect(inbox.leave(.nothing) == .refused)
    #expect(inbox.isEmpty)
    #expect(inbox.leave(.nothing, evenIfClosed: true) == .takenAfterClosing)
    #expect(!inbox.isEmpty)
    #expect(take(inbox) == 1)
  }

  @Test func `L-24: entries keep their order over many blocks, whatever the reader takes at a time`() {
    let inbox = Inbox()
    let queue = ReadyQueue()
    var order: [Int] = []
    var next = 0
    for round in 0..<300 {
      for _ in 0..<(round % 7 * 20) {
        let number = next
        let reception = inbox.leave(.callback { order.append(number) })
        #expect(reception == .taken)
        next += 1
      }
      inbox.move(to: queue, atMost: round % 5 * 30)
      while !queue.isEmpty { run(queue.takeFirst()) }
    }
    inbox.move(to: queue, atMost: .max)
    while !queue.isEmpty { run(queue.takeFirst()) }
    #expect(order == Array(0..<next))
    #expect(inbox.isEmpty)
  }

  @Test func `an inbox that goes releases what stands in it`() {
    var released = 0
    do {
      let inbox = Inbox()
      for _ in 0..<300 {
        let sentinel = Sentinel { released += 1 }
        _ = inbox.leave(.callback { withExtendedLifetime(sentinel) {} })
      }
      #expect(released == 0)
    }
    #expect(released == 300)
  }

  @Test func `L-24: four threads and a taker that sleeps lose no entry and no ring`() {
    let inbox = Inbox()
    let rings = Shared(0)
    let perThread = 5_000
    let threads = (0..<4).map { _ in
      TestThread {
        for _ in 0..<perThread where inbox.leave(.nothing) == .mustRing { rings.change { $0 += 1 } }
      }
    }
    var got = 0
    while got < 4 * perThread {
      got += take(inbox)
      let heard = rings.value
      guard got < 4 * perThread, inbox.willSleep() else { continue }
      // The wait of a loop: it ends by a ring, and by nothing else. A lost one hangs here.
      while rings.value == heard {}
      inbox.didWake()
    }
    for thread in threads { thread.join() }
    #expect(got == 4 * perThread)
    #expect(inbox.isEmpty)
  }

  @Test func `L-27: of what two threads leave, and a closing, each entry is run before it or known to come after`() {
    for _ in 0..<Amount.of(1_000_000, optimized: 10_000, usually: 2_000) {
      let inbox = Inbox()
      let late = Shared(0)
      let threads = (0..<2).map { _ in
        TestThread {
          if inbox.leave(.nothing, evenIfClosed: true) == .takenAfterClosing { late.change { $0 += 1 } }
        }
      }
      inbox.close()
      // As a closing does: until nothing is being left.
      var early = 0
      repeat { early += take(inbox) } while !inbox.isEmpty
      for thread in threads { thread.join() }
      let rest = take(inbox)
      #expect(early + rest == 2)
      #expect(rest <= late.value)
    }
  }

  private func run(_ work: consuming Work) {
    if case .callback(let callback) = consume work { try? callback() }
  }
}
