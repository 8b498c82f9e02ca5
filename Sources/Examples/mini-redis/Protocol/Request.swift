// SPDX-License-Identifier: Apache-2.0
//
// A request while it is carried out: a view of the bytes that it came in.

/// Where an argument stands in the bytes of a request.
struct Argument: Equatable {
  var start: Int
  var count: Int
}

/// The arguments of a request, the command's name first.
///
/// It lends what it shows: what is to stay is copied out, as a ``ByteString``.
struct Request: ~Escapable {
  private let bytes: Span<UInt8>
  private let arguments: [Argument]

  /// How many arguments there are, with the name; one at least.
  let count: Int

  /// - Parameters:
  ///   - bytes: What it came in.
  ///   - arguments: Where its arguments stand, and perhaps more.
  @_lifetime(copy bytes)
  init(_ bytes: Span<UInt8>, _ arguments: [Argument], _ count: Int) {
    self.bytes = bytes
    self.arguments = arguments
    self.count = count
  }

  /// The bytes of an argument.
  subscript(_ index: Int) -> Span<UInt8> {
    @_lifetime(copy self)
    get {
      precondition(index < count, "Request: there is no argument of this number")
      let argument = arguments[index]
      return bytes.extracting(argument.start..<(argument.start + argument.count))
    }
  }

  /// An argument, to keep.
  func string(_ index: Int) -> ByteString { ByteString(self[index]) }

  /// All arguments from one on, to keep.
  func strings(from first: Int) -> [ByteString] { (first..<count).map { string($0) } }

  /// An argument as text; what is no UTF-8 is replaced.
  func text(_ index: Int) -> String { String(decodingBytes: self[index]) }

  /// A whole number.
  func integer(_ index: Int) throws(CommandError) -> Int {
    guard let number = Decimal.parse(self[index]) else { throw .notAnInteger }
    return number
  }

  /// Whether an argument is a word, in letters of any case.
  ///
  /// - Parameter word: In lower case.
  func isWord(_ index: Int, _ word: StaticString) -> Bool {
    let bytes = self[index]
    guard bytes.count == word.utf8CodeUnitCount else { return false }
    for place in 0..<bytes.count {
      // SAFETY: the place is below the length of the word, as that of the argument is the same.
      let letter = unsafe word.utf8Start[place]
      guard bytes[place].lowercased == letter else { return false }
    }
    return true
  }
}

extension UInt8 {
  /// The small letter of a capital one; all else as it is.
  var lowercased: UInt8 { self &- UInt8(ascii: "A") < 26 ? self | 0x20 : self }
}
