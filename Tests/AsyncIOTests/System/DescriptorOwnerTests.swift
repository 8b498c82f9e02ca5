// SPDX-License-Identifier: Apache-2.0
//
// Owned descriptors, and the eventfd that ends a wait.

import AsyncIO
import Glibc
import SystemPackage
import Testing

@Suite(.oneAtATime) struct DescriptorOwnerTests {
  /// Far above the numbers that tests running beside this one get.
  private func isOpen(_ number: Int32) -> Bool { fcntl(number, F_GETFD) >= 0 }

  private func makeDescriptor(_ number: Int32) throws -> Int32 {
    let pipe = try DescriptorPair.pipe()
    return try pipe.near.duplicate(as: FileDescriptor(rawValue: number)).rawValue
  }

  @Test func `a descriptor is closed when its owner goes`() throws {
    let number = try makeDescriptor(9_100)
    do {
      let owned = OwnedDescriptor(owning: number)
      #expect(isOpen(number))
      #expect(owned.descriptor.rawValue == number)
      #expect(owned.rawValue == number)
    }
    #expect(!isOpen(number))
  }

  @Test func `a descriptor that is handed on is closed by its last owner, once`() throws {
    final class Holder {
      let owned: OwnedDescriptor
      init(_ owned: consuming OwnedDescriptor) { self.owned = owned }
    }
    let number = try makeDescriptor(9_101)
    let owned = OwnedDescriptor(owning: number)
    var holder: Holder? = Holder(owned)
    #expect(isOpen(number))
    #expect(holder?.owned.rawValue == number)
    holder = nil
    #expect(!isOpen(number))
  }

  private func isReadable(_ number: Int32) -> Bool {
    var request = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&request, 1, 0) == 1
  }

  @Test func `any number of rings leave one readable state`() throws {
    let wakeUp = try WakeUpDescriptor()
    #expect(!isReadable(wakeUp.rawValue))
    for _ in 0..<10_000 { wakeUp.ring() }
    #expect(isReadable(wakeUp.rawValue))
    wakeUp.drain()
    #expect(!isReadable(wakeUp.rawValue))
    // Draining what is empty does not wait.
    wakeUp.drain()
    wakeUp.ring()
    #expect(isReadable(wakeUp.rawValue))
  }

  @Test func `a full counter does not block a ring, and loses nothing`() throws {
    let wakeUp = try WakeUpDescriptor()
    var most = UInt64.max - 1
    #expect(unsafe write(wakeUp.rawValue, &most, 8) == 8)
    wakeUp.ring()
    #expect(isReadable(wakeUp.rawValue))
    wakeUp.drain()
    #expect(!isReadable(wakeUp.rawValue))
  }

  @Test func `a wake-up descriptor is not handed down to child processes`() throws {
    let wakeUp = try WakeUpDescriptor()
    #expect(fcntl(wakeUp.rawValue, F_GETFD) & FD_CLOEXEC != 0)
    #expect(fcntl(wakeUp.rawValue, F_GETFL) & O_NONBLOCK != 0)
  }
}
