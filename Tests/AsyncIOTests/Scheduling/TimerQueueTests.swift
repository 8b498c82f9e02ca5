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
    #expect(queue.earliest == .never)
    #expect(queue.cancel(id) != nil)
    #expect(queue.count == 0)
  }

  /// A model that cannot be wrong: a list, sorted by (deadline, order of arming).
  private struct Model {
    struct Timer {
      let id: TimerID
      let number: Int
      var deadline: Int64
      var order: Int
    }
    var armed: [Timer] = []
    var lastOrder = 0

    var first: Int? {
      armed.indices.min { (armed[$0].deadline, armed[$0].order) < (armed[$1].deadline, armed[$1].order) }
    }

    mutating func add(_ id: TimerID, _ number: Int, _ deadline: Int64) {
      lastOrder += 1
      armed.append(Timer(id: id, number: number, deadline: deadline, order: lastOrder))
    }

    mutating func move(_ index: Int, to deadline: Int64) {
      lastOrder += 1
      armed[index].deadline = deadline
      armed[index].order = lastOrder
    }

    mutating func pop(_ now: Int64) -> Timer? {
      guard let first, armed[first].deadline <= now else { return nil }
      return armed.remove(at: first)
    }
  }

  /// Distances in time: narrow ones for equal deadlines, wide ones for all levels of the wheel, and for its buckets' borders.
  private static let scales: [Int64] = [60, 5_000, 3_000_000, 70_000_000_000, 1 << 40, 1 << 56]

  @Test(arguments: 1...60 as ClosedRange<UInt64>)
  func `TM-18: random arming, cancelling, pushing and advancing does what a sorted list does`(seed: UInt64) {
    var random = SplitMix64(state: seed)
    let queue = TimerQueue()
    var model = Model()
    var ran: [Int] = []
    var expected: [Int] = []
    var stale: [TimerID] = []
    var pushed: [(id: TimerID, distance: Int64)] = []
    var now: Int64 = seed.isMultiple(of: 3) ? -1_000 : 1 << Int64(seed % 60)
    func distance() -> Int64 {
      let scale = Self.scales.randomElement(using: &random) ?? 60
      return .random(in: -5...scale, using: &random)
    }
    func settle() {
      queue.settle(Deadline(nanoseconds: now))
      for push in pushed {
        guard let index = model.armed.firstIndex(where: { $0.id == push.id }) else { continue }
        model.move(index, to: now + push.distance)
      }
      pushed = []
    }
    for number in 0..<Amount.of(2_000, usually: 800) {
      switch Int.random(in: 0..<12, using: &random) {
      case 0..<5:
        let deadline = now + distance()
        let id = queue.arm(at: Deadline(nanoseconds: deadline)) { ran.append(number) }
        model.add(id, number, deadline)
      case 5..<7:
        guard let index = model.armed.indices.randomElement(using: &random) else { continue }
        let id = model.armed.remove(at: index).id
        let isPending = queue.isPending(id)
        #expect(isPending && queue.cancel(id) != nil)
        stale.append(id)
      case 7:
        guard let id = stale.randomElement(using: &random) else { continue }
        let isKnown = queue.isPending(id) || queue.rearm(id, at: Deadline(nanoseconds: now))
        #expect(!isKnown && queue.cancel(id) == nil)
        _ = queue.push(id, by: 10)
      case 8:
        guard let index = model.armed.indices.randomElement(using: &random) else { continue }
        let deadline = now + distance()
        let isPending = queue.rearm(model.armed[index].id, at: Deadline(nanoseconds: deadline))
        #expect(isPending)
        model.move(index, to: deadline)
        pushed.removeAll { $0.id == model.armed[index].id }
      case 9:
        guard let timer = model.armed.randomElement(using: &random) else { continue }
        let distance = max(1, distance())
        _ = queue.push(timer.id, by: distance)
        pushed.removeAll { $0.id == timer.id }
        pushed.append((timer.id, distance))
      default:
        now += max(0, distance() / 3)
        settle()
        var due: [DueTimer] = []
        while let timer = queue.popDue(Deadline(nanoseconds: now)) { due.append(timer) }
        let timers = due.map { _ in model.pop(now) }
        for (due, timer) in zip(due, timers) {
          guard let timer else { Issue.record("due too early"); continue }
          switch Int.random(in: 0..<8, using: &random) {
          case 0:
            // Cancelled between coming due and its turn.
            #expect(queue.cancel(timer.id) != nil)
            stale.append(timer.id)
          case 1:
            // Pushed back there: it is armed again, and its turn passes.
            let deadline = now + max(1, distance())
            let isPending = queue.rearm(timer.id, at: Deadline(nanoseconds: deadline))
            #expect(isPending)
            model.add(timer.id, timer.number, deadline)
          default:
            expected.append(timer.number)
            stale.append(timer.id)
          }
          try? queue.takeDue(due)?()
        }
        #expect(model.pop(now) == nil)
      }
      settle()
      #expect(queue.count == model.armed.count)
      let first = model.first.map { model.armed[$0].deadline }
      // Exact while few stand together; never too late.
      let earliest = queue.earliest?.nanoseconds
      #expect((earliest == nil) == (first == nil))
      if let earliest, let first { #expect(model.armed.count <= 64 ? earliest == first : earliest <= first) }
    }
    #expect(ran == expected)
    #expect(ran.count > 50)
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
    #expect(queue.capacity >= 100_000)
    for (index, id) in ids.enumerated() {
      _ = queue.cancel(id)
      if index == 0 || index == 50_000 { #expect(released == index + 1) }
    }
    #expect(released == 100_000)
    #expect(queue.capacity <= 4_096)
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
    #expect(queue.capacity <= 4_096)
    for id in ids { #expect(queue.cancel(id) == nil) }
    _ = queue.arm(at: Deadline(nanoseconds: 2_000_000)) { order.append(10) }
    runDue(queue, at: 3_000_000)
    #expect(order == Array(0...10))
  }

  @Test(arguments: [0, 1_000])
  func `TM-15: the memory of many timers at one time is given back when they have run`(deadline: Int64) {
    let queue = TimerQueue()
    // Those at 0 are due when they are armed.
    runDue(queue, at: 500)
    for _ in 0..<20_000 { _ = queue.arm(at: Deadline(nanoseconds: deadline)) {} }
    runDue(queue, at: 2_000)
    #expect(queue.count == 0)
    #expect(queue.capacity <= 4_096)
  }

  @Test func `TM-12: names stay stale over a release of all memory`() {
    let queue = TimerQueue()
    let old = (0..<2_000).map { _ in queue.arm(at: Deadline(nanoseconds: 1)) {} }
    for id in old { _ = queue.cancel(id) }
    let new = (0..<2_000).map { _ in queue.arm(at: Deadline(nanoseconds: 1)) {} }
    for id in old { #expect(queue.cancel(id) == nil) }
    #expect(queue.count == 2_000)
    for id in new { #expect(queue.cancel(id) != nil) }
  }

  @Test func `all timers can be dropped, and the releases may arm new ones`() {
    final class Holder { let queue = TimerQueue() }
    let holder = Holder()
    var released = 0
    for _ in 0..<10 {
      let sentinel = Sentinel { [unowned holder] in
        released += 1
        _ = holder.queue.arm(at: Deadline(nanoseconds: 7)) {}
      }
      _ = holder.queue.arm(at: Deadline(nanoseconds: 1)) { withExtendedLifetime(sentinel) {} }
    }
    holder.queue.removeAll()
    #expect(released == 10)
    #expect(holder.queue.count == 10)
    #expect(holder.queue.earliest == Deadline(nanoseconds: 7))
  }

  @Test func `a timer that was pushed and then cancelled, rearmed or run is not moved by the push`() {
    let queue = TimerQueue()
    let cancelled = queue.arm(at: Deadline(nanoseconds: 10)) {}
    let rearmed = queue.arm(at: Deadline(nanoseconds: 10)) {}
    _ = queue.push(cancelled, by: 100)
    _ = queue.push(rearmed, by: 100)
    #expect(queue.cancel(cancelled) != nil)
    _ = queue.rearm(rearmed, at: Deadline(nanoseconds: 20))
    // In the slot that the cancelled one has left.
    let successor = queue.arm(at: Deadline(nanoseconds: 15)) {}
    queue.settle(Deadline(nanoseconds: 5))
    #expect(queue.deadline(rearmed) == Deadline(nanoseconds: 20))
    #expect(queue.deadline(successor) == Deadline(nanoseconds: 15))
    #expect(queue.count == 2)
  }

  @Test func `TM-25: ten years with one far timer: the near ones come on time, and the wheel's borders are crossed`() {
    let queue = TimerQueue()
    let tenYears: Int64 = 315_576_000_000_000_000
    let far = queue.arm(at: Deadline(nanoseconds: tenYears)) {}
    var random = SplitMix64(state: 10)
    var now: Int64 = 0
    var runs = 0
    while true {
      let deadline = now + .random(in: 0...(1 << Int64.random(in: 0...47, using: &random)), using: &random)
      guard deadline < tenYears else { break }
      _ = queue.arm(at: Deadline(nanoseconds: deadline)) { runs += 1 }
      // One expectation for all of it: each takes longer than what it looks at.
      let isNext = queue.earliest == Deadline(nanoseconds: deadline)
      let isEarly = deadline > now && queue.popDue(Deadline(nanoseconds: deadline - 1)) != nil
      let before = runs
      runDue(queue, at: deadline)
      if !isNext || isEarly || runs != before + 1 { Issue.record("at \(now), of the timer at \(deadline)") }
      now = deadline
    }
    #expect(runs > 10_000)
    #expect(queue.deadline(far) == Deadline(nanoseconds: tenYears))
    #expect(queue.popDue(Deadline(nanoseconds: tenYears)) != nil)
  }

  @Test func `TM-02, TM-18: a hundred thousand timers in a narrow range come in order, whatever the buckets' sizes`() {
    let queue = TimerQueue()
    var random = SplitMix64(state: 7)
    var order: [(deadline: Int64, number: Int)] = []
    for number in 0..<100_000 {
      let deadline = Int64.random(in: 0..<50_000, using: &random) * 1_000
      _ = queue.arm(at: Deadline(nanoseconds: deadline)) { order.append((deadline, number)) }
    }
    for now in stride(from: Int64(0), through: 50_000_000, by: 1_234_567) { runDue(queue, at: now) }
    runDue(queue, at: 50_000_000)
    #expect(order.count == 100_000)
    #expect(zip(order, order.dropFirst()).allSatisfy { $0 < $1 })
    #expect(queue.count == 0)
  }

  @Test func `TM-28: arming and expiring again and again does not grow`() {
    let queue = TimerQueue()
    var runs = 0
    let beats = Amount.of(10_000_000, usually: 30_000)
    for beat in 1...beats {
      _ = queue.arm(at: Deadline(nanoseconds: Int64(beat))) { runs += 1 }
      runDue(queue, at: Int64(beat))
    }
    #expect(runs == beats)
    #expect(queue.capacity <= 1_024)
  }

  private func runDue(_ queue: borrowing TimerQueue, at now: Int64) {
    queue.settle(Deadline(nanoseconds: now))
    while let due = queue.popDue(Deadline(nanoseconds: now)) { try? queue.takeDue(due)?() }
  }
}
