// SPDX-License-Identifier: Apache-2.0
//
// Memory that bytes are received into: lent for as long as they stand there, so that who waits for bytes holds none.

/// A piece of memory with one owner.
@safe struct Block: ~Copyable {
  /// All of it. Not initialized at first; any byte may be written.
  let bytes: UnsafeMutableRawBufferPointer

  init(capacity: Int) {
    unsafe bytes = .allocate(byteCount: capacity, alignment: 16)
  }

  fileprivate init(taking bytes: UnsafeMutableRawBufferPointer) {
    unsafe self.bytes = unsafe bytes
  }

  var capacity: Int { unsafe bytes.count }

  /// Gives the memory away, with the duty to free it.
  fileprivate consuming func surrender() -> UnsafeMutableRawBufferPointer {
    let bytes = unsafe bytes
    discard self
    return unsafe bytes
  }

  deinit { unsafe bytes.deallocate() }
}

/// Blocks of one size that a loop's readers share.
///
/// Invariant: `free` holds at most `most` blocks, which nobody else has.
@safe final class BlockPool {
  /// The size of each block: as much as one call should receive.
  static let size = 65_536

  /// More than these are freed. One is enough for readers that use up at once what they receive.
  private static let most = 16

  // SAFETY: no access finds another one begun: nothing of ours is called meanwhile.
  @exclusivity(unchecked) private var free: [UnsafeMutableRawBufferPointer] = unsafe []

  /// A block for one reader, with any content.
  func take() -> Block {
    guard let bytes = unsafe free.popLast() else { return Block(capacity: Self.size) }
    return unsafe Block(taking: bytes)
  }

  /// Takes a block back, or frees it, when there are enough, or it is of another size.
  func give(_ block: consuming Block) {
    guard block.capacity == Self.size, unsafe free.count < Self.most else { return }
    unsafe free.append(block.surrender())
  }

  deinit {
    while let bytes = unsafe free.popLast() { unsafe bytes.deallocate() }
  }
}
