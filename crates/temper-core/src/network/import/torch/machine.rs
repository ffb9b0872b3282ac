//! A pickle reader that builds a description and executes nothing.
//!
//! Instructions as in Python's `pickletools` (protocols 2 to 5). Every instruction makes at most one value and takes what it puts into
//! containers off the stack, so the memory in use is bounded by the number of instructions, that is, of bytes.

use std::collections::HashMap;

use thiserror::Error;

use super::value::{Id, Object, Pickle, Value};

/// Why bytes are not a pickle that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PickleError {
    /// The bytes end inside the pickle.
    #[error("the pickle ends at byte {offset} in the middle of an instruction")]
    Truncated {
        /// Where, counted from the start of the pickle.
        offset: usize,
    },
    /// An unknown or unsupported instruction.
    #[error("the pickle holds instruction {opcode:#04x} at byte {offset}, which torch.save does not write")]
    Opcode {
        /// The instruction.
        opcode: u8,
        /// Where, counted from the start of the pickle.
        offset: usize,
    },
    /// An unsupported protocol.
    #[error("the pickle is of protocol {found}; expected 2 to 5: save it again with torch.save")]
    Protocol {
        /// The protocol.
        found: u8,
    },
    /// An instruction whose operands are absent or of the wrong kind.
    #[error("the pickle's instruction {opcode:#04x} at byte {offset} does not find the operands it needs")]
    Operands {
        /// The instruction.
        opcode: u8,
        /// Where, counted from the start of the pickle.
        offset: usize,
    },
    /// More values than can be numbered.
    #[error("the pickle holds more than 2^32 values")]
    TooManyValues,
}

/// Reads the pickle at the start of `bytes`; more bytes may follow it.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle<'_>, PickleError> {
    let mut machine = Machine {
        bytes,
        at: 0,
        start: 0,
        opcode: 0,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        if let Some(root) = machine.step()? {
            return Ok(Pickle { values: machine.values, root, length: machine.at });
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    /// The next byte.
    at: usize,
    /// The instruction being executed, and where it starts.
    opcode: u8,
    start: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

type Step<T = ()> = Result<T, PickleError>;

impl<'a> Machine<'a> {
    /// Executes one instruction; the pickle's value at its end.
    fn step(&mut self) -> Step<Option<Id>> {
        self.start = self.at;
        self.opcode = self.byte()?;
        match self.opcode {
            b'.' => return self.pop().map(Some),
            0x80 => self.protocol()?,
            0x95 => drop(self.array::<8>()?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => self.pop_any()?,
            b'1' => drop(self.pop_mark()?),
            b'2' => self.duplicate()?,
            b'N' | 0x88 | 0x89 | b'K' | b'M' | b'J' | b'I' | 0x8a | 0x8b | b'G' => self.number()?,
            b'X' | 0x8c | 0x8d | b'T' | b'U' | b'B' | b'C' | 0x8e | 0x96 => self.string()?,
            b')' | b't' | 0x85..=0x87 => self.tuple()?,
            b']' | b'l' | b'a' | b'e' | 0x8f..=0x91 => self.list()?,
            b'}' | b'd' | b's' | b'u' => self.dict()?,
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memo()?,
            b'c' | 0x93 => self.global()?,
            b'R' | 0x81 | 0x92 | b'o' | b'b' => self.object()?,
            b'Q' => {
                let reference = self.pop()?;
                self.push(Value::Persistent(reference))?;
            }
            opcode => return Err(PickleError::Opcode { opcode, offset: self.start }),
        }
        Ok(None)
    }

    fn protocol(&mut self) -> Step {
        match self.byte()? {
            2..=5 => Ok(()),
            found => Err(PickleError::Protocol { found }),
        }
    }

    fn number(&mut self) -> Step {
        let value = match self.opcode {
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool,
            b'K' => Value::Int(i64::from(self.byte()?)),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            // Python 2 writes integers beyond 32 bits as text in every protocol.
            b'I' => {
                let text = self.line()?;
                let value = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                Value::Int(value.ok_or_else(|| self.operands())?)
            }
            b'G' => {
                self.array::<8>()?;
                Value::Float
            }
            _ => {
                let length = if self.opcode == 0x8a { usize::from(self.byte()?) } else { self.length_i32()? };
                long(self.take(length)?)
            }
        };
        self.push(value)
    }

    fn string(&mut self) -> Step {
        let length = match self.opcode {
            0x8c | b'U' | b'C' => usize::from(self.byte()?),
            b'X' | b'B' => u32::from_le_bytes(self.array()?) as usize,
            b'T' => self.length_i32()?,
            _ => {
                let length = u64::from_le_bytes(self.array()?);
                usize::try_from(length).map_err(|_| self.truncated())?
            }
        };
        let bytes = self.take(length)?;
        let is_text = matches!(self.opcode, b'X' | 0x8c | 0x8d | b'T' | b'U');
        self.push(if is_text { Value::Text(bytes) } else { Value::Bytes })
    }

    fn tuple(&mut self) -> Step {
        let items = match self.opcode {
            b')' => Vec::new(),
            b't' => self.pop_mark()?,
            // TUPLE1 to TUPLE3.
            opcode => {
                let below = self.stack.len().checked_sub(usize::from(opcode - 0x84));
                let below = below.filter(|&below| below >= self.floor()).ok_or_else(|| self.operands())?;
                self.stack.split_off(below)
            }
        };
        self.push(Value::Tuple(items))
    }

    fn list(&mut self) -> Step {
        let items = match self.opcode {
            b']' | 0x8f => return self.push(Value::List(Vec::new())),
            b'l' | 0x91 => {
                let items = self.pop_mark()?;
                return self.push(Value::List(items));
            }
            b'a' => vec![self.pop()?],
            _ => self.pop_mark()?,
        };
        match self.target()? {
            Value::List(list) => list.extend(items),
            // A subclass of list or a deque: nothing that is read needs its items.
            Value::Object(_) => {}
            _ => return Err(self.operands()),
        }
        Ok(())
    }

    fn dict(&mut self) -> Step {
        let flat = match self.opcode {
            b'}' => return self.push(Value::Dict(Vec::new())),
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_mark()?,
        };
        if !flat.len().is_multiple_of(2) {
            return Err(self.operands());
        }
        let pairs = flat.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        if self.opcode == b'd' {
            return self.push(Value::Dict(pairs.collect()));
        }
        match self.target()? {
            Value::Dict(items) => items.extend(pairs),
            Value::Object(object) => object.items.extend(pairs),
            _ => return Err(self.operands()),
        }
        Ok(())
    }

    fn memo(&mut self) -> Step {
        let index = match self.opcode {
            b'q' | b'h' => u32::from(self.byte()?),
            0x94 => self.memo.len() as u32,
            _ => u32::from_le_bytes(self.array()?),
        };
        if matches!(self.opcode, b'h' | b'j') {
            let id = self.memo.get(&index).copied().ok_or_else(|| self.operands())?;
            self.stack.push(id);
        } else {
            let id = self.top()?;
            self.memo.insert(index, id);
        }
        Ok(())
    }

    fn global(&mut self) -> Step {
        let (module, name) = if self.opcode == b'c' {
            (self.line()?, self.line()?)
        } else {
            let name = self.pop_text()?;
            (self.pop_text()?, name)
        };
        match (std::str::from_utf8(module), std::str::from_utf8(name)) {
            (Ok(module), Ok(name)) => self.push(Value::Global { module, name }),
            _ => Err(self.operands()),
        }
    }

    fn object(&mut self) -> Step {
        let (callable, arguments) = match self.opcode {
            b'b' => return self.build(),
            b'o' => {
                let mut items = self.pop_mark()?;
                if items.is_empty() {
                    return Err(self.operands());
                }
                let callable = items.remove(0);
                (callable, self.store(Value::Tuple(items))?)
            }
            opcode => {
                if opcode == 0x92 {
                    // NEWOBJ_EX: keyword arguments are not needed.
                    self.pop()?;
                }
                let arguments = self.pop()?;
                (self.pop()?, arguments)
            }
        };
        self.push(Value::Object(Box::new(Object { callable, arguments, items: Vec::new(), state: None })))
    }

    fn build(&mut self) -> Step {
        let state = self.pop()?;
        match self.target()? {
            Value::Object(object) => object.state = Some(state),
            _ => return Err(self.operands()),
        }
        Ok(())
    }

    /// Height of the stack below which the innermost mark's owner lies.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn store(&mut self, value: Value<'a>) -> Step<Id> {
        let id = Id::try_from(self.values.len()).map_err(|_| PickleError::TooManyValues)?;
        self.values.push(value);
        Ok(id)
    }

    fn push(&mut self, value: Value<'a>) -> Step {
        let id = self.store(value)?;
        self.stack.push(id);
        Ok(())
    }

    fn top(&self) -> Step<Id> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.floor() => Ok(id),
            _ => Err(self.operands()),
        }
    }

    fn pop(&mut self) -> Step<Id> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    /// The instruction POP, which also removes a mark that nothing lies on.
    fn pop_any(&mut self) -> Step {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn duplicate(&mut self) -> Step {
        let id = self.top()?;
        self.stack.push(id);
        Ok(())
    }

    fn pop_mark(&mut self) -> Step<Vec<Id>> {
        let mark = self.marks.pop().ok_or_else(|| self.operands())?;
        Ok(self.stack.split_off(mark))
    }

    fn pop_text(&mut self) -> Step<&'a [u8]> {
        let id = self.pop()?;
        match self.values[id as usize] {
            Value::Text(text) => Ok(text),
            _ => Err(self.operands()),
        }
    }

    /// The value on top of the stack, to be changed.
    fn target(&mut self) -> Step<&mut Value<'a>> {
        let id = self.top()?;
        Ok(&mut self.values[id as usize])
    }

    fn byte(&mut self) -> Step<u8> {
        let byte = self.bytes.get(self.at).copied().ok_or_else(|| self.truncated())?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, length: usize) -> Step<&'a [u8]> {
        let taken = self.bytes[self.at..].get(..length).ok_or_else(|| self.truncated())?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let array = self.bytes[self.at..].first_chunk().ok_or_else(|| self.truncated())?;
        self.at += N;
        Ok(*array)
    }

    fn line(&mut self) -> Step<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| self.truncated())?;
        self.at += end + 1;
        Ok(&rest[..end])
    }

    fn length_i32(&mut self) -> Step<usize> {
        let length = i32::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| self.operands())
    }

    fn truncated(&self) -> PickleError {
        PickleError::Truncated { offset: self.bytes.len() }
    }

    fn operands(&self) -> PickleError {
        PickleError::Operands { opcode: self.opcode, offset: self.start }
    }
}

/// A two's-complement little-endian integer of any length.
fn long(bytes: &[u8]) -> Value<'_> {
    if bytes.len() > 8 {
        return Value::Long(bytes);
    }
    let fill = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
    let mut wide = [fill; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(wide))
}
