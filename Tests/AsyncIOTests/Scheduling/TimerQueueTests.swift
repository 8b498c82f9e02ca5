// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct TimerQueueTests {
  @Test func `TM-01: timers come due by deadline`() {
    let queue = TimerQueue()
    var order: [Int] = []
    for seconds in [3, 1, 2] {
      _ = queue.arm(at: Deadline(nanoseconds: Int64(seconds))) { order.append(seconds) }
    }
    #expect(queue.earliest == Deadline(nanoseconds: 1))
    #expect(queue.popDue(Deadline(nanoseconds: 0)) == nil)
    runDue(queue, at: 10)
    #expect(order == [1, 2, 3])
    #expect(queue.count == 0 && queue.earliest == nil)
  }

  @Test func `TM-02: equal deadlines come due in order of arming`() {
    let queue = TimerQueue()
    var order: [Int] = []
    for number in 0..<1_000 { _ = queue.arm(at: Deadline(nanoseconds: 5)) { order.append(number) } }
    runDue(queue, at: 5)
    #expect(order == Array(0..<1_000))
  }

  @Test func `TM-08: a timer at the deadline that never comes is never due`() {
    let queue = TimerQueue()
    let id = queue.arm(at: .never) {}
    #expect(queue.popDue(.never) == nil)
    #expect(queue.isPending(id))
    #expect(queue.cancel(id) != nil)
    #expect(queue.count == 0)
  }

  /// A model that cannot be wrong: a list, sorted by (deadline, order of arming).
  private struct Model {
    var armed: [(deadline: Int64, number: Int, id: TimerID)] = []

    mutating func pop(_ now: Int64) -> (number: Int, id: TimerID)? {
      let first = armed.indices.min {
        (armed[$0].deadline, armed[$0].number) < (armed[$1].deadline, armed[$1].number)
      }
      guard let first, armed[first].deadline <= now else { return nil }
      let entry = armed.remove(at: first)
      return (entry.number, entry.id)
    }
  }

  @Test(arguments: 1...40 as ClosedRange<UInt64>)
  func `TM-18: random arming, cancelling and advancing does what a sorted list does`(seed: UInt64) {
    var random = SplitMix64(state: seed)
    let queue = TimerQueue()
    var model = Model()
    var ran: [Int] = []
    var expected: [Int] = []
    var stale: [TimerID] = []
    var now: Int64 = 0
    for number in 0..<3_000 {
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<5:
        // A narrow range, for many equal deadlines.
        let deadline = now + .random(in: -5...60, using: &random)
        let id = queue.arm(at: Deadline(nanoseconds: deadline)) { ran.append(number) }
        model.armed.append((deadline, number, id))
      case 5..<7:
        guard let index = model.armed.indices.randomElement(using: &random) else { continue }
        let id = model.armed.remove(at: index).id
        #expect(queue.isPending(id) && queue.cancel(id) != nil)
        stale.append(id)
      case 7:
        guard let id = stale.randomElement(using: &random) else { continue }
        #expect(!queue.isPending(id) && queue.cancel(id) == nil && queue.takeDue(id) == nil)
      default:
        now += .random(in: 0...20, using: &random)
        var due: [TimerID] = []
        while let id = queue.popDue(Deadline(nanoseconds: now)) { due.append(id) }
        for id in due {
          let entry = model.pop(now)
          #expect(entry?.id == id)
          // Now and then one is cancelled between coming due and its turn.
          if Int.random(in: 0..<8, using: &random) == 0 {
            #expect(queue.cancel(id) != nil)
          } else if let entry {
            expected.append(entry.number)
          }
          try? queue.takeDue(id)?()
          stale.append(id)
        }
        #expect(model.pop(now) == nil)
      }
      #expect(queue.count == model.armed.count)
      #expect(queue.earliest?.nanoseconds == model.armed.map(\.deadline).min())
    }
    #expect(ran == expected)
    #expect(ran.count > 100)
  }

  @Test func `TM-15: cancelled timers free their closures at once, and their memory before the deadline`() {
    let queue = TimerQueue()
    var released = 0
    let ids = (0..<100_000).map { number in
      let sentinel = Sentinel { released += 1 }
      return queue.arm(at: Deadline(nanoseconds: 1_000_000 + Int64(number))) {
        withExtendedLifetime(sentinel) {}
      }
    }
    #expect(capacities(of: queue).allSatisfy { $0 >= 100_000 })
    for (index, id) in ids.enumerated() {
      _ = queue.cancel(id)
      if index == 0 || index == 50_000 { #expect(released == index + 1) }
    }
    #expect(released == 100_000)
    #expect(capacities(of: queue).allSatisfy { $0 <= 1_024 })
  }

  @Test func `TM-15: memory is given back while a few older timers stay armed`() {
    let queue = TimerQueue()
    var order: [Int] = []
    for number in 0..<10 { _ = queue.arm(at: Deadline(nanoseconds: 2_000_000)) { order.append(number) } }
    let ids = (0..<100_000).map { number in
      queue.arm(at: Deadline(nanoseconds: 1_000_000)) { order.append(-number) }
    }
    for id in ids.shuffled() { _ = queue.cancel(id) }
    #expect(queue.count == 10)
    #expect(capacities(of: queue).allSatisfy { $0 <= 20_000 })
    #expect(ids.allSatisfy { !queue.isPending($0) })
    _ = queue.arm(at: Deadline(nanoseconds: 2_000_000)) { order.append(10) }
    runDue(queue, at: 3_000_000)
    #expect(order == Array(0...10))
  }

  @Test func `TM-12: names stay stale over a release of all memory`() {
    let queue = TimerQueue()
    let old = (0..<2_000).map { _ in queue.arm(at: Deadline(nanoseconds: 1)) {} }
    for id in old { _ = queue.cancel(id) }
    let new = (0..<2_000).map { _ in queue.arm(at: Deadline(nanoseconds: 1)) {} }
    for id in old { #expect(queue.cancel(id) == nil) }
    #expect(new.allSatisfy { queue.isPending($0) })
    #expect(queue.count == 2_000)
  }

  @Test func `all timers can be dropped, and the releases may arm new ones`() {
    let queue = TimerQueue()
    var released = 0
    var id: TimerID?
    for _ in 0..<10 {
      let sentinel = Sentinel {
        released += 1
        id = queue.arm(at: Deadline(nanoseconds: 7)) {}
      }
      _ = queue.arm(at: Deadline(nanoseconds: 1)) { withExtendedLifetime(sentinel) {} }
    }
    queue.removeAll()
    #expect(released == 10)
    #expect(queue.count == 10)
    #expect(id.map { queue.isPending($0) } == true)
  }

  @Test func `TM-28: arming and expiring again and again does not grow`() {
    let queue = TimerQueue()
    var runs = 0
    // 10^5 in the place of the contract's 10^7: growth by one an arming would show with a hundred.
    for beat in 1...100_000 {
      _ = queue.arm(at: Deadline(nanoseconds: Int64(beat))) { runs += 1 }
      runDue(queue, at: Int64(beat))
    }
    #expect(runs == 100_000)
    #expect(capacities(of: queue).allSatisfy { $0 < 16 })
  }

  private func runDue(_ queue: TimerQueue, at now: Int64) {
    while let id = queue.popDue(Deadline(nanoseconds: now)) { try? queue.takeDue(id)?() }
  }

  /// The capacities of the queue's arrays.
  private func capacities(of queue: TimerQueue) -> [Int] {
    Mirror(reflecting: queue).children.compactMap { ($0.value as? any HasCapacity)?.capacity }
  }
}

private protocol HasCapacity {
  var capacity: Int { get }
}

extension Array: HasCapacity {}
