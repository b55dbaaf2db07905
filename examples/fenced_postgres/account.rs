//! The protected resource: a row that remembers the greatest fencing token.

use std::sync::Arc;

use lockguard::FencingToken;
use lockguard_examples::Failure;
use tokio_postgres::{Client, Error, NoTls};

/// What is on the account when a chapter begins.
pub(crate) const OPENING: i64 = 100;

/// One handle on the account.
#[derive(Clone)]
pub(crate) struct Account {
    client: Arc<Client>,
    id: i64,
}

/// How the account is written to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// Whoever comes, whenever they come.
    Unfenced,
    /// Unless somebody with a greater token has been there.
    Fenced,
}

impl Write {
    /// The one statement that writes.
    fn statement(self) -> &'static str {
        match self {
            Self::Unfenced => "UPDATE account SET balance = $3, fence = $1 WHERE id = $2",
            // A lease writes once here. One that writes more often says `<=`.
            Self::Fenced => {
                "UPDATE account SET balance = $3, fence = $1 WHERE id = $2 AND fence < $1"
            }
        }
    }
}

impl Account {
    /// Opens a new account, in a table of its own.
    pub(crate) async fn open(database: &str, id: i64) -> Result<Self, Failure> {
        let account = Self::of(database, id).await?;
        account
            .client
            .batch_execute(
                "CREATE TABLE IF NOT EXISTS account
                 (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL, fence BIGINT NOT NULL)",
            )
            .await?;
        account
            .client
            .execute("INSERT INTO account VALUES ($1, $2, 0)", &[&id, &OPENING])
            .await?;
        Ok(account)
    }

    /// An account that another process has opened.
    pub(crate) async fn of(database: &str, id: i64) -> Result<Self, Failure> {
        let (client, connection) = tokio_postgres::connect(database, NoTls).await?;
        // What goes wrong there is told to those who wait for an answer.
        tokio::spawn(connection);
        Ok(Self {
            client: Arc::new(client),
            id,
        })
    }

    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    pub(crate) async fn balance(&self) -> Result<i64, Error> {
        let statement = "SELECT balance FROM account WHERE id = $1";
        let row = self.client.query_one(statement, &[&self.id]).await?;
        row.try_get(0)
    }

    /// How many rows were written: none if the write was refused.
    pub(crate) async fn write(
        &self,
        write: Write,
        balance: i64,
        token: FencingToken,
    ) -> Result<u64, Failure> {
        // Tokens fit a `BIGINT`.
        let token = i64::try_from(token.get())?;
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&token, &self.id, &balance];
        Ok(self.client.execute(write.statement(), &values).await?)
    }
}
