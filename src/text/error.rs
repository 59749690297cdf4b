//! Errors in words. Pure. nix has a text for each of 130, which takes 5 kB; these are
//! the ones that our calls answer with.

use nix::errno::Errno;

use super::line::{Put, Writer};

const WORDS: [(Errno, &str); 22] = [
    (Errno::EPERM, "Operation not permitted"),
    (Errno::ENOENT, "No such file or directory"),
    (Errno::ESRCH, "No such process"),
    (Errno::EIO, "Input/output error"),
    (Errno::E2BIG, "Argument list too long"),
    (Errno::ENOEXEC, "Exec format error"),
    (Errno::EBADF, "Bad file descriptor"),
    (Errno::EAGAIN, "Resource temporarily unavailable"),
    (Errno::ENOMEM, "Cannot allocate memory"),
    (Errno::EACCES, "Permission denied"),
    (Errno::ENOTDIR, "Not a directory"),
    (Errno::EISDIR, "Is a directory"),
    (Errno::EINVAL, "Invalid argument"),
    (Errno::EMFILE, "Too many open files"),
    (Errno::ETXTBSY, "Text file busy"),
    (Errno::ENOSPC, "No space left on device"),
    (Errno::EROFS, "Read-only file system"),
    (Errno::EPIPE, "Broken pipe"),
    (Errno::ENAMETOOLONG, "File name too long"),
    (Errno::ENOSYS, "Function not implemented"),
    (Errno::ELOOP, "Too many levels of symbolic links"),
    (Errno::ELIBBAD, "Accessing a corrupted shared library"),
];

/// `Permission denied`, or `error 121`
impl Put for Errno {
    fn put_on(self, line: &mut Writer) {
        match WORDS.iter().find(|(error, _)| *error == self) {
            Some((_, words)) => line.put(*words),
            None => line.put("error ").put(self as i32 as u64),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::line::Line;

    #[test]
    fn each_in_the_words_of_the_c_library() {
        for (error, words) in WORDS {
            let system = std::io::Error::from_raw_os_error(error as i32).to_string();
            assert!(system.starts_with(words), "{system}");
        }
        let mut line = Line::<32>::new();
        line.put(Errno::EREMOTEIO);
        assert_eq!(line.as_bytes(), b"error 121");
    }
}
