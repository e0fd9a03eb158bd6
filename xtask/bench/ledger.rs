//! A program of the size that people send: collections, traits, iterators, formatting, an error type, sixty lines.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;

#[derive(Debug, Clone, PartialEq)]
enum Entry {
    Deposit { account: String, cents: i64 },
    Transfer { from: String, to: String, cents: i64 },
}

#[derive(Debug)]
enum Refused {
    Unknown(String),
    Short { account: String, by: i64 },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Unknown(account) => write!(f, "nobody called {account}"),
            Refused::Short { account, by } => write!(f, "{account} is {}.{:02} short", by / 100, by % 100),
        }
    }
}

trait Book {
    fn post(&mut self, entry: &Entry) -> Result<(), Refused>;
    fn total(&self) -> i64;
}

#[derive(Default)]
struct Ledger(BTreeMap<String, i64>);

impl Book for Ledger {
    fn post(&mut self, entry: &Entry) -> Result<(), Refused> {
        match entry {
            Entry::Deposit { account, cents } => *self.0.entry(account.clone()).or_default() += cents,
            Entry::Transfer { from, to, cents } => {
                let held = self.0.get_mut(from).ok_or_else(|| Refused::Unknown(from.clone()))?;
                if *held < *cents {
                    return Err(Refused::Short { account: from.clone(), by: cents - *held });
                }
                *held -= cents;
                *self.0.entry(to.clone()).or_default() += cents;
            }
        }
        Ok(())
    }

    fn total(&self) -> i64 {
        self.0.values().sum()
    }
}

fn main() {
    let names = ["ada", "ben", "cyd"].map(String::from);
    let mut queue: VecDeque<Entry> =
        names.iter().zip(1..).map(|(name, n)| Entry::Deposit { account: name.clone(), cents: n * 250 }).collect();
    queue.extend(names.windows(2).map(|pair| Entry::Transfer {
        from: pair[0].clone(),
        to: pair[1].clone(),
        cents: @SEED@ % 600,
    }));
    let mut ledger: Box<dyn Book> = Box::new(Ledger::default());
    let refused: Vec<String> =
        queue.iter().filter_map(|entry| ledger.post(entry).err()).map(|why| why.to_string()).collect();
    let letters = names.concat().chars().fold(HashMap::<char, usize>::new(), |mut all, one| {
        *all.entry(one).or_default() += 1;
        all
    });
    println!("hello {}: {} in all, {} letters, refused {:?}", @SEED@u64, ledger.total(), letters.len(), refused);
}
