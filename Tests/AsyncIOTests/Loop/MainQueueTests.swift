// SPDX-License-Identifier: Apache-2.0
//
// A loop on the main thread serves the main actor: contract L-42 and L-46.
//
// The main thread of the tests is parked by libdispatch, and their main actor runs on the pool. So these start a program.

import Glibc
import Testing

@Suite(.oneAtATime) struct MainQueueTests {
  private func play(_ scene: String) throws -> (output: String, code: Int32) {
    try ChildProgram.start(besideTests: "main-thread-program", [scene]).finish()
  }

  @Test func `L-46: tasks of a loop on the main thread hop to the main actor and back`() throws {
    #expect(try play("hops") == ("done\n", 0))
  }

  @Test func `L-46: a loop that waits wakes for the main queue`() throws {
    #expect(try play("idle") == ("done\n", 0))
  }

  @Test func `L-46: the watch of the main queue is no call of the test that a sweep makes to fail`() throws {
    #expect(try play("sweep") == ("done\n", 0))
  }

  @Test func `L-46: each run on the main thread serves the main actor`() throws {
    #expect(try play("twice") == ("done\n", 0))
  }

  @Test func `L-46: what the main queue got while no loop ran is served by the next`() throws {
    #expect(try play("between") == ("done\n", 0))
  }

  @Test func `L-46: neither the loop nor the main queue starves the other`() throws {
    #expect(try play("callbacks") == ("done\n", 0))
  }

  @Test func `L-46: a task of a loop on another thread hops to the main actor, which the main loop serves`()
    throws
  {
    #expect(try play("other-thread") == ("done\n", 0))
  }

  @Test func `L-42: an interrupt cancels the body, whose cleanup runs`() throws {
    #expect(try play("interrupt") == ("cleaned up\ndone\n", 0))
  }

  @Test func `L-42: a body that swallows the interrupt gives its value`() throws {
    #expect(try play("swallow") == ("done\n", 0))
  }

  @Test func `L-42: a second interrupt ends the process`() throws {
    #expect(try play("two-interrupts") == ("", -SIGINT))
  }

  @Test func `L-42: a handler of the process itself is left alone`() throws {
    #expect(try play("own-handler") == ("done\n", 0))
  }

  @Test func `L-42: a handler of another loop is told each time, and the main loop only when there is none`() throws {
    #expect(try play("other-loops-handler") == ("done\n", 0))
  }
}
