//! `--explain`: what would happen to a command, and what a stop would do to what
//! runs. It starts nothing and signals nobody.

mod command;
mod running;

pub use command::command;
pub use running::running;

use crate::config::Config;
use crate::report::{self, Reporter, event};
use crate::text::line::{Line, Writer};

/// Written line by line, so that nothing is ever cut off.
pub struct Page<'a> {
    report: Reporter<'a>,
    code: u8,
}

impl<'a> Page<'a> {
    fn new(config: &'a Config) -> Page<'a> {
        Page { report: Reporter { config }, code: 0 }
    }

    fn text(&mut self, text: &str) {
        self.line(|line| _ = line.put(text));
    }

    /// Once stdout fails nothing more is written: that was said.
    fn line(&mut self, mut write: impl FnMut(&mut Writer)) {
        self.write(&mut write);
    }

    #[inline(never)]
    fn write(&mut self, write: &mut dyn FnMut(&mut Writer)) {
        let mut text: Line = Line::new();
        write(&mut text);
        if !self.report.config.json {
            return self.raw(text.put("\n"));
        }
        let mut line: Line = Line::new();
        self.report.object(event::EXPLAIN, &mut line);
        self.raw(line.put(",\"message\":\"").json(text.as_bytes()).put("\"}\n"));
    }

    fn raw(&mut self, line: &Writer) {
        if self.code == 0 {
            self.code = report::stdout(line.as_bytes());
        }
    }

    fn end(self) -> u8 {
        self.code
    }
}
