// SPDX-License-Identifier: Apache-2.0
//
// The list of those who are told.

import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct ObserversTests {
  private final class Seen: EndObserver {
    private(set) var numbers: [UInt64] = []
    func noteEnd(_ token: DoneCallbackToken) { numbers.append(token.number) }
  }

  private static func tell(_ observers: inout Observers) {
    guard let (first, others) = observers.takeAll() else { return }
    for observer in [first] + others {
      if case .observer(let observer, let token) = observer { observer.noteEnd(token) }
    }
  }

  @Test(arguments: 0..<50)
  func `adding and removing at random against a model: the rest is told, in order`(seed: UInt64) {
    var generator = SplitMix64(state: seed)
    var observers = Observers()
    var model: [UInt64] = []
    let seen = Seen()
    var number: UInt64 = 0
    for _ in 0..<500 {
      if model.isEmpty || Int.random(in: 0..<5, using: &generator) < 3 {
        number += UInt64.random(in: 1...3, using: &generator)
        observers.add(.observer(seen, DoneCallbackToken(number: number)))
        model.append(number)
      } else {
        let index = Int.random(in: 0..<model.count, using: &generator)
        let token = DoneCallbackToken(number: model.remove(at: index))
        #expect(observers.remove(token) != nil)
        #expect(observers.remove(token) == nil)
      }
      #expect(observers.count == model.count)
    }
    Self.tell(&observers)
    #expect(seen.numbers == model)
    #expect(observers.count == 0)
    observers.add(.observer(seen, DoneCallbackToken(number: number + 1)))
    #expect(observers.count == 1)
  }

  @Test func `of many that leave in any order none stays behind`() {
    var observers = Observers()
    let seen = Seen()
    var numbers = Array<UInt64>(1...1_000)
    for number in numbers { observers.add(.observer(seen, DoneCallbackToken(number: number))) }
    var generator = SplitMix64(state: 7)
    numbers.shuffle(using: &generator)
    for number in numbers { _ = observers.remove(DoneCallbackToken(number: number)) }
    #expect(observers.count == 0)
    #expect(observers.takeAll() == nil)
  }

  @Test(.inOrder) func `F-12, F-29: waiting tasks, callbacks and combinators are told in one order`() throws {
    try runVirtually { loop in
      let log = Log()
      let future = loop.createFuture(of: Int.self)
      future.addDoneCallback { log.add("a") }
      let first = loop.createTask {
        _ = try await future.value
        log.add("b")
      }
      let second = loop.createTask {
        try await shield(future)
        log.add("c")
      }
      try await turns()
      future.addDoneCallback { log.add("d") }
      try future.setResult(1)
      try await gather(first, second)
      #expect(log.entries == ["a", "b", "c", "d"])
    }
  }
}
