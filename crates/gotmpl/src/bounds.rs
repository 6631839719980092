//! What one run of a template may use. Templates come from users, those of log queries from any who may ask:
//! none may end the process, fill memory or run for ever.

use crate::value::Value;

/// How deep templates may call each other.
const MAX_TEMPLATE_DEPTH: usize = 500;

/// How deep lists of nodes may lie within each other, calls included. A thread's stack has room for several times that.
const MAX_NESTING: usize = 1_000;

/// How many branches, iterations and calls there may be.
const MAX_STEPS: u64 = 1_000_000;

/// The most bytes a template may write, and the most that functions may make for it.
const MAX_BYTES: usize = 64 << 20;

/// What a run has used so far. Errors say which bound was reached.
#[derive(Debug, Default)]
pub struct Bounds {
    calls: usize,
    nesting: usize,
    steps: u64,
    made_bytes: usize,
}

impl Bounds {
    /// A list of nodes within another begins; [`Bounds::leave`] ends it. So far `written_bytes` are written.
    pub fn enter(&mut self, written_bytes: usize) -> Result<(), String> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(format!("more than {MAX_STEPS} steps"));
        }
        if self.nesting == MAX_NESTING {
            return Err(format!("exceeded maximum nesting ({MAX_NESTING})"));
        }
        self.check_written(written_bytes)?;
        self.nesting += 1;
        Ok(())
    }

    /// The list entered last is done.
    pub fn leave(&mut self) {
        self.nesting -= 1;
    }

    /// A template calls another; [`Bounds::end_call`] ends it.
    pub fn begin_call(&mut self) -> Result<(), String> {
        if self.calls == MAX_TEMPLATE_DEPTH {
            return Err(format!("exceeded maximum template depth ({MAX_TEMPLATE_DEPTH})"));
        }
        self.calls += 1;
        Ok(())
    }

    /// The call begun last is done.
    pub fn end_call(&mut self) {
        self.calls -= 1;
    }

    /// A function has made a value.
    pub fn made(&mut self, value: &Value) -> Result<(), String> {
        self.made_bytes += value.as_bytes().map_or(0, <[u8]>::len);
        match self.made_bytes > MAX_BYTES {
            true => Err(format!("more than {MAX_BYTES} bytes of values")),
            false => Ok(()),
        }
    }

    /// So much is written.
    pub fn check_written(&self, written_bytes: usize) -> Result<(), String> {
        match written_bytes > MAX_BYTES {
            true => Err(format!("more than {MAX_BYTES} bytes of output")),
            false => Ok(()),
        }
    }
}
