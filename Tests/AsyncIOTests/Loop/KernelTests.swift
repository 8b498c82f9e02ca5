// SPDX-License-Identifier: Apache-2.0
//
// Where the kernel is what is tested: real time, signals, system calls.

import Glibc
import Testing

@testable import AsyncIO

@Suite(.oneAtATime) struct KernelTests {
  @Test func `L-36: a loop with nothing to do waits once, and uses no processor`() throws {
    let backend = try CountingBackend()
    let waits = backend.counts.waits
    let (count, used) = try EventLoop.run(configuration: .on(backend)) { loop in
      let future = loop.createFuture(of: Void.self)
      try await turns(3)
      let before = (waits.value, ProcessFacts.threadTime)
      let thread = TestThread {
        usleep(100_000)
        try? future.setResult()
      }
      try await future.value
      thread.join()
      return (waits.value - before.0, ProcessFacts.threadTime - before.1)
    }
    #expect(count <= 3)
    #expect(used < .milliseconds(20))
  }

  @Test func `L-40: a list of tiny sleeps costs a bounded number of polls`() throws {
    let backend = try CountingBackend()
    let waits = backend.counts.waits
    try EventLoop.run(configuration: .on(backend)) { loop in
      for microseconds in 1...100 { try await loop.sleep(for: .microseconds(microseconds * 3)) }
    }
    // One wait for each, one more where it ended a little early, and a few at the start and the end.
    #expect(waits.value >= 50 && waits.value <= 210)
  }

  @Test func `L-38: the loop's time does not go back, and moves on while a callback blocks`() throws {
    let isMonotonic = try EventLoop.run { loop in
      var last = loop.now
      for _ in 0..<10_000 {
        let present = loop.now
        if present < last { return false }
        last = present
      }
      let start = loop.now
      usleep(2_000)
      return start.duration(to: loop.now) >= .milliseconds(2)
    }
    #expect(isMonotonic)
  }

  @Test func `L-37: timers and readers are right under a thousand signals a second`() async {
    await #expect(processExitsWith: .success) {
      var action = sigaction()
      unsafe action.__sigaction_handler.sa_handler = { _ in }
      unsafe sigaction(SIGUSR1, &action, nil)
      let target = UInt(pthread_self())
      let isOver = Shared(false)
      let shooter = TestThread {
        while !isOver.value {
          pthread_kill(pthread_t(target), SIGUSR1)
          usleep(1_000)
        }
      }
      let run = {
        try EventLoop.run { loop in
          let pipe = try DescriptorPair.pipe()
          var early = 0
          var bytes = 0
          for _ in 0..<20 {
            let start = loop.now
            try await loop.sleep(for: .milliseconds(5))
            if start.duration(to: loop.now) < .milliseconds(5) { early += 1 }
            try pipe.send()
            try await loop.waitReadable(pipe.near)
            bytes += try pipe.receive().utf8.count
          }
          return (early, bytes)
        }
      }
      let (early, bytes) = try run()
      isOver.change { $0 = true }
      shooter.join()
      #expect(early == 0 && bytes == 20)
    }
  }
}
