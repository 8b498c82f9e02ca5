// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ReadyQueueTests {
  /// `#expect` cannot take a call on a noncopyable value apart.
  private func expect(_ condition: Bool, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(condition, sourceLocation: sourceLocation)
  }

  private func run(_ work: consuming Work) {
    if case .callback(let callback) = consume work { try? callback() }
  }

  @Test func `L-10: entries leave in the order of entering, over many segments`() {
    let queue = ReadyQueue()
    var order: [Int] = []
    var next = 0
    // More in than out, so that both ends cross from one segment to the next, at different times.
    for round in 0..<60 {
      for _ in 0..<(10 + round) {
        let number = next
        queue.append(.callback { order.append(number) })
        next += 1
      }
      for _ in 0..<(7 + round / 2) { run(queue.takeFirst()) }
    }
    let waiting = queue.count
    #expect(order.count + waiting == next)
    while !queue.isEmpty { run(queue.takeFirst()) }
    #expect(order == Array(0..<next))
  }

  @Test func `L-14: a cancelled entry is released at once, and runs nothing`() {
    let queue = ReadyQueue()
    var released = 0
    var runs = 0
    let first = queue.append(.callback { runs += 1 })
    let second = append(to: queue) { released += 1 }
    expect(queue.isPending(first) && queue.isPending(second))
    expect(queue.cancel(second))
    #expect(released == 1)
    expect(!queue.isPending(second))
    expect(!queue.cancel(second))
    expect(queue.count == 2)
    while !queue.isEmpty { run(queue.takeFirst()) }
    #expect(runs == 1)
  }

  @Test func `tickets that are stale, or were never given, match nothing`() {
    let queue = ReadyQueue()
    var runs = 0
    let stale = queue.append(.callback { runs += 1 })
    run(queue.takeFirst())
    for _ in 0..<200 { queue.append(.callback { runs += 1 }) }
    expect(!queue.cancel(stale))
    expect(!queue.isPending(stale))
    expect(!queue.cancel(.max))
    expect(!queue.cancel(queue.append(.nothing) + 1))
    while !queue.isEmpty { run(queue.takeFirst()) }
    #expect(runs == 201)
  }

  @Test func `a cancel by the deinit of what a cancel releases finds the queue in order`() {
    let queue = ReadyQueue()
    var released: [Int] = []
    let inner = append(to: queue) { released.append(1) }
    let outer = append(to: queue) {
      released.append(2)
      queue.cancel(inner)
      queue.append(.nothing)
    }
    expect(queue.cancel(outer))
    #expect(released == [2, 1])
    expect(queue.count == 3)
  }

  @Test func `an entry taken from the middle leaves nothing there`() {
    let queue = ReadyQueue()
    var order: [Int] = []
    for number in 0..<5 { queue.append(.callback { order.append(number) }) }
    for offset in [3, 0, 4] { run(queue.take(at: offset)) }
    while !queue.isEmpty { run(queue.takeFirst()) }
    #expect(order == [3, 0, 4, 1, 2])
  }

  @Test func `a queue that goes releases what stands in it`() {
    var released = 0
    do {
      let queue = ReadyQueue()
      for _ in 0..<100 { _ = append(to: queue) { released += 1 } }
      #expect(released == 0)
    }
    #expect(released == 100)
  }

  @Test func `memory of a burst is given back, and the queue works on`() {
    let queue = ReadyQueue()
    for _ in 0..<40_000 { queue.append(.nothing) }
    expect(queue.count == 40_000)
    expect(queue.capacity >= 40_000)
    while !queue.isEmpty { _ = queue.takeFirst() }
    expect(queue.capacity <= 17_000)
    var runs = 0
    for _ in 0..<1_000 { queue.append(.callback { runs += 1 }) }
    while !queue.isEmpty { run(queue.takeFirst()) }
    #expect(runs == 1_000)
  }

  @Test func `a queue that does not grow takes no more memory, however much passes through`() {
    let queue = ReadyQueue()
    for _ in 0..<100 { queue.append(.nothing) }
    for _ in 0..<100_000 {
      queue.append(.nothing)
      _ = queue.takeFirst()
    }
    expect(queue.count == 100)
    expect(queue.capacity <= 512)
  }

  /// Adds a callback that holds a sentinel, and nothing else does.
  private func append(to queue: borrowing ReadyQueue, atEnd: @escaping () -> Void) -> ReadyQueue.Ticket {
    let sentinel = Sentinel(atEnd: atEnd)
    return queue.append(.callback { withExtendedLifetime(sentinel) {} })
  }
}
