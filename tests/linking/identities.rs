//! What must be one thing, whoever asks: thread-locals, types behind `Any`, errors, statics of the standard library.

use std::any::Any;
use std::cell::RefCell;
use std::error::Error;
use std::io::Write;

struct Named(&'static str);

impl Drop for Named {
    fn drop(&mut self) {
        println!("dropped {}", self.0);
    }
}

thread_local! {
    static LIST: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static NAMED: Named = const { Named("a thread's own") };
}

fn main() {
    let thread = || {
        NAMED.with(|named| println!("{}", named.0));
        LIST.with(|list| list.borrow_mut().push("a".into()));
    };
    std::thread::spawn(thread).join().unwrap();
    LIST.with(|list| println!("{:?}", list.borrow()));
    let any: Box<dyn Any> = Box::new(5u8);
    println!("{:?} {}", any.downcast_ref::<u8>(), std::any::type_name::<Vec<Option<u8>>>());
    let error: Box<dyn Error> = "x".parse::<u8>().unwrap_err().into();
    println!("{error} {}", error.is::<std::num::ParseIntError>());
    write!(std::io::stdout().lock(), "no line").unwrap();
    print!(", but all of it");
}
