-- Daily summaries that are kept with every write: each user's results, each symbol's news.
-- tenon: phase=expand
--
-- A day begins at midnight UTC. Both tables are sums over rows of others. Triggers change them, in the
-- transaction of the write, whoever writes; `tenon views check` adds up anew and compares. Sums are
-- whole numbers, so neither the order of writes nor the dialect shows in them:
--
--   trade_count, news_count   rows
--   pnl_hi, pnl_lo            profit is 10^9 * pnl_hi + pnl_lo: of each row's pnl the part above 10^9
--                             and the rest, which have its sign, so that no sum leaves 64 bits
--   return_sum                in 10^-6: of each trade the change of price from entry to exit in its
--                             direction, before fees, over the entry price; cut off, and the part
--                             before the point at +-10^6. From entry prices of 9 * 10^12 units on
--                             their last six digits do not count for the part after the point, lest
--                             it leaves 64 bits.
--   score_sum                 of sentiment_score
--
-- An average is a sum over its count; who reads makes it. The rows of a key are added up: `slot` keeps
-- those apart who write at once on PostgreSQL, where they would wait for each other or begin anew.
-- A key whose counts are together 0 says nothing. There are no foreign keys: what refers to a user or
-- an instrument are the rows that are counted. The views …_rows give what each row counts for.

CREATE TABLE mv_portfolio_performance (
    user_id      INTEGER NOT NULL,
    day_real_ns  INTEGER NOT NULL,
    account_type TEXT NOT NULL,
    instrument   INTEGER NOT NULL,
    slot         INTEGER NOT NULL DEFAULT 0,
    trade_count  INTEGER NOT NULL,
    pnl_hi       INTEGER NOT NULL,
    pnl_lo       INTEGER NOT NULL,
    return_sum   INTEGER NOT NULL,
    PRIMARY KEY (user_id, day_real_ns, account_type, instrument, slot),
    CONSTRAINT performance_day_is_midnight
        CHECK (day_real_ns >= 0 AND day_real_ns % 86400000000000 = 0),
    CONSTRAINT performance_slot_is_bounded CHECK (slot BETWEEN 0 AND 15)
) STRICT, WITHOUT ROWID;

CREATE INDEX mv_portfolio_performance_day ON mv_portfolio_performance (day_real_ns);

CREATE TABLE mv_news_sentiment (
    symbol      TEXT NOT NULL,
    day_real_ns INTEGER NOT NULL,
    slot        INTEGER NOT NULL DEFAULT 0,
    news_count  INTEGER NOT NULL,
    score_sum   INTEGER NOT NULL,
    PRIMARY KEY (symbol, day_real_ns, slot),
    CONSTRAINT sentiment_day_is_midnight
        CHECK (day_real_ns >= 0 AND day_real_ns % 86400000000000 = 0),
    CONSTRAINT sentiment_slot_is_bounded CHECK (slot BETWEEN 0 AND 15)
) STRICT, WITHOUT ROWID;

CREATE INDEX mv_news_sentiment_day ON mv_news_sentiment (day_real_ns);

CREATE VIEW mv_portfolio_performance_rows AS
SELECT id, exit_real_ns, user_id, exit_real_ns - exit_real_ns % 86400000000000 AS day_real_ns, account_type,
    instrument, 1 AS trade_count,
    pnl / 1000000000 AS pnl_hi, pnl % 1000000000 AS pnl_lo,
    max(min(gain / entry_price, 1000000), -1000000) * 1000000
        + CASE WHEN entry_price < 9000000000000 THEN gain % entry_price * 1000000 / entry_price
               ELSE gain % entry_price / (entry_price / 1000000) END AS return_sum
FROM (
    SELECT id, exit_real_ns, user_id, account_type, instrument, pnl, entry_price,
        CASE side WHEN 0 THEN exit_price - entry_price ELSE entry_price - exit_price END AS gain
    FROM trade_logs WHERE exit_real_ns IS NOT NULL
) AS closed;

CREATE VIEW mv_news_sentiment_rows AS
SELECT id, published_real_ns, symbol,
    published_real_ns - published_real_ns % 86400000000000 AS day_real_ns,
    1 AS news_count, sentiment_score AS score_sum
FROM news_items;

-- REPLACE deletes rows without their triggers, unless recursive_triggers is on: not for these tables.
CREATE TRIGGER mv_portfolio_performance_insert AFTER INSERT ON trade_logs BEGIN
    INSERT INTO mv_portfolio_performance (
        user_id, day_real_ns, account_type, instrument, trade_count, pnl_hi, pnl_lo, return_sum)
    SELECT user_id, exit_real_ns - exit_real_ns % 86400000000000, account_type, instrument, sign,
        sign * (pnl / 1000000000), sign * (pnl % 1000000000),
        sign * (max(min(gain / entry_price, 1000000), -1000000) * 1000000
            + CASE WHEN entry_price < 9000000000000 THEN gain % entry_price * 1000000 / entry_price
                   ELSE gain % entry_price / (entry_price / 1000000) END)
    FROM (
        SELECT 1 AS sign, new.user_id AS user_id, new.account_type AS account_type, new.instrument AS instrument,
            new.exit_real_ns AS exit_real_ns, new.pnl AS pnl, new.entry_price AS entry_price,
            CASE new.side WHEN 0 THEN new.exit_price - new.entry_price ELSE new.entry_price - new.exit_price END AS gain
    )
    WHERE exit_real_ns IS NOT NULL
    ON CONFLICT DO UPDATE SET trade_count = trade_count + excluded.trade_count,
        pnl_hi = pnl_hi + excluded.pnl_hi, pnl_lo = pnl_lo + excluded.pnl_lo,
        return_sum = return_sum + excluded.return_sum;
END;

CREATE TRIGGER mv_portfolio_performance_delete AFTER DELETE ON trade_logs BEGIN
    INSERT INTO mv_portfolio_performance (
        user_id, day_real_ns, account_type, instrument, trade_count, pnl_hi, pnl_lo, return_sum)
    SELECT user_id, exit_real_ns - exit_real_ns % 86400000000000, account_type, instrument, sign,
        sign * (pnl / 1000000000), sign * (pnl % 1000000000),
        sign * (max(min(gain / entry_price, 1000000), -1000000) * 1000000
            + CASE WHEN entry_price < 9000000000000 THEN gain % entry_price * 1000000 / entry_price
                   ELSE gain % entry_price / (entry_price / 1000000) END)
    FROM (
        SELECT -1 AS sign, old.user_id AS user_id, old.account_type AS account_type, old.instrument AS instrument,
            old.exit_real_ns AS exit_real_ns, old.pnl AS pnl, old.entry_price AS entry_price,
            CASE old.side WHEN 0 THEN old.exit_price - old.entry_price ELSE old.entry_price - old.exit_price END AS gain
    )
    WHERE exit_real_ns IS NOT NULL
    ON CONFLICT DO UPDATE SET trade_count = trade_count + excluded.trade_count,
        pnl_hi = pnl_hi + excluded.pnl_hi, pnl_lo = pnl_lo + excluded.pnl_lo,
        return_sum = return_sum + excluded.return_sum;
END;

CREATE TRIGGER mv_portfolio_performance_update AFTER UPDATE OF
    user_id, account_type, instrument, side, entry_price, exit_price, exit_real_ns, pnl ON trade_logs BEGIN
    INSERT INTO mv_portfolio_performance (
        user_id, day_real_ns, account_type, instrument, trade_count, pnl_hi, pnl_lo, return_sum)
    SELECT user_id, exit_real_ns - exit_real_ns % 86400000000000, account_type, instrument, sign,
        sign * (pnl / 1000000000), sign * (pnl % 1000000000),
        sign * (max(min(gain / entry_price, 1000000), -1000000) * 1000000
            + CASE WHEN entry_price < 9000000000000 THEN gain % entry_price * 1000000 / entry_price
                   ELSE gain % entry_price / (entry_price / 1000000) END)
    FROM (
        SELECT -1 AS sign, old.user_id AS user_id, old.account_type AS account_type, old.instrument AS instrument,
            old.exit_real_ns AS exit_real_ns, old.pnl AS pnl, old.entry_price AS entry_price,
            CASE old.side WHEN 0 THEN old.exit_price - old.entry_price ELSE old.entry_price - old.exit_price END AS gain
        UNION ALL
        SELECT 1, new.user_id, new.account_type, new.instrument,
            new.exit_real_ns, new.pnl, new.entry_price,
            CASE new.side WHEN 0 THEN new.exit_price - new.entry_price ELSE new.entry_price - new.exit_price END
    )
    WHERE exit_real_ns IS NOT NULL
    ON CONFLICT DO UPDATE SET trade_count = trade_count + excluded.trade_count,
        pnl_hi = pnl_hi + excluded.pnl_hi, pnl_lo = pnl_lo + excluded.pnl_lo,
        return_sum = return_sum + excluded.return_sum;
END;

CREATE TRIGGER mv_news_sentiment_insert AFTER INSERT ON news_items BEGIN
    INSERT INTO mv_news_sentiment (symbol, day_real_ns, news_count, score_sum)
    SELECT symbol, published_real_ns - published_real_ns % 86400000000000, sign, sign * score
    FROM (
        SELECT 1 AS sign, new.symbol AS symbol, new.published_real_ns AS published_real_ns, new.sentiment_score AS score
    )
    WHERE true
    ON CONFLICT DO UPDATE SET news_count = news_count + excluded.news_count,
        score_sum = score_sum + excluded.score_sum;
END;

CREATE TRIGGER mv_news_sentiment_delete AFTER DELETE ON news_items BEGIN
    INSERT INTO mv_news_sentiment (symbol, day_real_ns, news_count, score_sum)
    SELECT symbol, published_real_ns - published_real_ns % 86400000000000, sign, sign * score
    FROM (
        SELECT -1 AS sign, old.symbol AS symbol, old.published_real_ns AS published_real_ns, old.sentiment_score AS score
    )
    WHERE true
    ON CONFLICT DO UPDATE SET news_count = news_count + excluded.news_count,
        score_sum = score_sum + excluded.score_sum;
END;

CREATE TRIGGER mv_news_sentiment_update AFTER UPDATE OF symbol, published_real_ns, sentiment_score ON news_items BEGIN
    INSERT INTO mv_news_sentiment (symbol, day_real_ns, news_count, score_sum)
    SELECT symbol, published_real_ns - published_real_ns % 86400000000000, sign, sign * score
    FROM (
        SELECT -1 AS sign, old.symbol AS symbol, old.published_real_ns AS published_real_ns, old.sentiment_score AS score
        UNION ALL
        SELECT 1, new.symbol, new.published_real_ns, new.sentiment_score
    )
    WHERE true
    ON CONFLICT DO UPDATE SET news_count = news_count + excluded.news_count,
        score_sum = score_sum + excluded.score_sum;
END;

-- What is there already. Nobody else writes: the triggers' tables are locked until this is committed.
INSERT INTO mv_portfolio_performance (
    user_id, day_real_ns, account_type, instrument, trade_count, pnl_hi, pnl_lo, return_sum)
SELECT user_id, day_real_ns, account_type, instrument, sum(trade_count),
    sum(pnl_hi), sum(pnl_lo), sum(return_sum)
FROM mv_portfolio_performance_rows GROUP BY user_id, day_real_ns, account_type, instrument;

INSERT INTO mv_news_sentiment (symbol, day_real_ns, news_count, score_sum)
SELECT symbol, day_real_ns, sum(news_count), sum(score_sum)
FROM mv_news_sentiment_rows GROUP BY symbol, day_real_ns;
