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
    user_id      bigint NOT NULL,
    day_real_ns  bigint NOT NULL,
    account_type text COLLATE "C" NOT NULL,
    instrument   bigint NOT NULL,
    slot         bigint NOT NULL DEFAULT 0,
    trade_count  bigint NOT NULL,
    pnl_hi       bigint NOT NULL,
    pnl_lo       bigint NOT NULL,
    return_sum   bigint NOT NULL,
    PRIMARY KEY (user_id, day_real_ns, account_type, instrument, slot),
    CONSTRAINT performance_day_is_midnight
        CHECK (day_real_ns >= 0 AND day_real_ns % 86400000000000 = 0),
    CONSTRAINT performance_slot_is_bounded CHECK (slot BETWEEN 0 AND 15)
);

CREATE INDEX mv_portfolio_performance_day ON mv_portfolio_performance (day_real_ns);

CREATE TABLE mv_news_sentiment (
    symbol      text COLLATE "C" NOT NULL,
    day_real_ns bigint NOT NULL,
    slot        bigint NOT NULL DEFAULT 0,
    news_count  bigint NOT NULL,
    score_sum   bigint NOT NULL,
    PRIMARY KEY (symbol, day_real_ns, slot),
    CONSTRAINT sentiment_day_is_midnight
        CHECK (day_real_ns >= 0 AND day_real_ns % 86400000000000 = 0),
    CONSTRAINT sentiment_slot_is_bounded CHECK (slot BETWEEN 0 AND 15)
);

CREATE INDEX mv_news_sentiment_day ON mv_news_sentiment (day_real_ns);

-- A trade's part of return_sum.
CREATE FUNCTION mv_trade_return(gain bigint, entry_price bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT greatest(least(gain / entry_price, 1000000), -1000000) * 1000000
        + CASE WHEN entry_price < 9000000000000 THEN gain % entry_price * 1000000 / entry_price
               ELSE gain % entry_price / (entry_price / 1000000) END
$$;

CREATE VIEW mv_portfolio_performance_rows AS
SELECT id, exit_real_ns, user_id, exit_real_ns - exit_real_ns % 86400000000000 AS day_real_ns, account_type,
    instrument, 1::bigint AS trade_count, pnl / 1000000000 AS pnl_hi, pnl % 1000000000 AS pnl_lo,
    mv_trade_return(
        CASE side WHEN 0 THEN exit_price - entry_price ELSE entry_price - exit_price END,
        entry_price) AS return_sum
FROM trade_logs WHERE exit_real_ns IS NOT NULL;

CREATE VIEW mv_news_sentiment_rows AS
SELECT id, published_real_ns, symbol,
    published_real_ns - published_real_ns % 86400000000000 AS day_real_ns,
    1::bigint AS news_count, sentiment_score AS score_sum
FROM news_items;

-- Each statement's rows in one go and its keys in order, so that two statements lock what they share in
-- the same order.

CREATE FUNCTION mv_portfolio_performance_insert() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO mv_portfolio_performance AS m (
        user_id, day_real_ns, account_type, instrument, slot, trade_count, pnl_hi, pnl_lo, return_sum)
    SELECT user_id, exit_real_ns - exit_real_ns % 86400000000000 AS day, account_type, instrument,
        pg_backend_pid() % 16, sum(sign), sum(sign * (pnl / 1000000000)), sum(sign * (pnl % 1000000000)),
        sum(sign * mv_trade_return(
            CASE side WHEN 0 THEN exit_price - entry_price ELSE entry_price - exit_price END,
            entry_price))
    FROM (
        SELECT 1 AS sign, * FROM added WHERE exit_real_ns IS NOT NULL
    ) AS changed
    GROUP BY user_id, day, account_type, instrument
    ORDER BY user_id, day, account_type, instrument
    ON CONFLICT (user_id, day_real_ns, account_type, instrument, slot) DO UPDATE SET
        trade_count = m.trade_count + excluded.trade_count, pnl_hi = m.pnl_hi + excluded.pnl_hi,
        pnl_lo = m.pnl_lo + excluded.pnl_lo, return_sum = m.return_sum + excluded.return_sum;
    RETURN NULL;
END;
$$;

CREATE FUNCTION mv_portfolio_performance_delete() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO mv_portfolio_performance AS m (
        user_id, day_real_ns, account_type, instrument, slot, trade_count, pnl_hi, pnl_lo, return_sum)
    SELECT user_id, exit_real_ns - exit_real_ns % 86400000000000 AS day, account_type, instrument,
        pg_backend_pid() % 16, sum(sign), sum(sign * (pnl / 1000000000)), sum(sign * (pnl % 1000000000)),
        sum(sign * mv_trade_return(
            CASE side WHEN 0 THEN exit_price - entry_price ELSE entry_price - exit_price END,
            entry_price))
    FROM (
        SELECT -1 AS sign, * FROM removed WHERE exit_real_ns IS NOT NULL
    ) AS changed
    GROUP BY user_id, day, account_type, instrument
    ORDER BY user_id, day, account_type, instrument
    ON CONFLICT (user_id, day_real_ns, account_type, instrument, slot) DO UPDATE SET
        trade_count = m.trade_count + excluded.trade_count, pnl_hi = m.pnl_hi + excluded.pnl_hi,
        pnl_lo = m.pnl_lo + excluded.pnl_lo, return_sum = m.return_sum + excluded.return_sum;
    RETURN NULL;
END;
$$;

CREATE FUNCTION mv_portfolio_performance_update() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO mv_portfolio_performance AS m (
        user_id, day_real_ns, account_type, instrument, slot, trade_count, pnl_hi, pnl_lo, return_sum)
    SELECT user_id, exit_real_ns - exit_real_ns % 86400000000000 AS day, account_type, instrument,
        pg_backend_pid() % 16, sum(sign), sum(sign * (pnl / 1000000000)), sum(sign * (pnl % 1000000000)),
        sum(sign * mv_trade_return(
            CASE side WHEN 0 THEN exit_price - entry_price ELSE entry_price - exit_price END,
            entry_price))
    FROM (
        SELECT -1 AS sign, * FROM removed WHERE exit_real_ns IS NOT NULL
        UNION ALL
        SELECT 1 AS sign, * FROM added WHERE exit_real_ns IS NOT NULL
    ) AS changed
    GROUP BY user_id, day, account_type, instrument
    HAVING sum(sign) <> 0 OR sum(sign * (pnl / 1000000000)) <> 0 OR sum(sign * (pnl % 1000000000)) <> 0
        OR sum(sign * mv_trade_return(
            CASE side WHEN 0 THEN exit_price - entry_price ELSE entry_price - exit_price END,
            entry_price)) <> 0
    ORDER BY user_id, day, account_type, instrument
    ON CONFLICT (user_id, day_real_ns, account_type, instrument, slot) DO UPDATE SET
        trade_count = m.trade_count + excluded.trade_count, pnl_hi = m.pnl_hi + excluded.pnl_hi,
        pnl_lo = m.pnl_lo + excluded.pnl_lo, return_sum = m.return_sum + excluded.return_sum;
    RETURN NULL;
END;
$$;

CREATE FUNCTION mv_portfolio_performance_truncate() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM mv_portfolio_performance WHERE true;
    RETURN NULL;
END;
$$;

CREATE FUNCTION mv_news_sentiment_insert() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO mv_news_sentiment AS m (symbol, day_real_ns, slot, news_count, score_sum)
    SELECT symbol, published_real_ns - published_real_ns % 86400000000000 AS day, pg_backend_pid() % 16,
        sum(sign), sum(sign * sentiment_score)
    FROM (
        SELECT 1 AS sign, * FROM added
    ) AS changed
    GROUP BY symbol, day
    ORDER BY symbol, day
    ON CONFLICT (symbol, day_real_ns, slot) DO UPDATE SET
        news_count = m.news_count + excluded.news_count, score_sum = m.score_sum + excluded.score_sum;
    RETURN NULL;
END;
$$;

CREATE FUNCTION mv_news_sentiment_delete() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO mv_news_sentiment AS m (symbol, day_real_ns, slot, news_count, score_sum)
    SELECT symbol, published_real_ns - published_real_ns % 86400000000000 AS day, pg_backend_pid() % 16,
        sum(sign), sum(sign * sentiment_score)
    FROM (
        SELECT -1 AS sign, * FROM removed
    ) AS changed
    GROUP BY symbol, day
    ORDER BY symbol, day
    ON CONFLICT (symbol, day_real_ns, slot) DO UPDATE SET
        news_count = m.news_count + excluded.news_count, score_sum = m.score_sum + excluded.score_sum;
    RETURN NULL;
END;
$$;

CREATE FUNCTION mv_news_sentiment_update() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO mv_news_sentiment AS m (symbol, day_real_ns, slot, news_count, score_sum)
    SELECT symbol, published_real_ns - published_real_ns % 86400000000000 AS day, pg_backend_pid() % 16,
        sum(sign), sum(sign * sentiment_score)
    FROM (
        SELECT -1 AS sign, * FROM removed
        UNION ALL
        SELECT 1 AS sign, * FROM added
    ) AS changed
    GROUP BY symbol, day
    HAVING sum(sign) <> 0 OR sum(sign * sentiment_score) <> 0
    ORDER BY symbol, day
    ON CONFLICT (symbol, day_real_ns, slot) DO UPDATE SET
        news_count = m.news_count + excluded.news_count, score_sum = m.score_sum + excluded.score_sum;
    RETURN NULL;
END;
$$;

CREATE FUNCTION mv_news_sentiment_truncate() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM mv_news_sentiment WHERE true;
    RETURN NULL;
END;
$$;

CREATE TRIGGER mv_portfolio_performance_insert AFTER INSERT ON trade_logs REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION mv_portfolio_performance_insert();

CREATE TRIGGER mv_portfolio_performance_delete AFTER DELETE ON trade_logs REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION mv_portfolio_performance_delete();

CREATE TRIGGER mv_portfolio_performance_update AFTER UPDATE ON trade_logs REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION mv_portfolio_performance_update();

CREATE TRIGGER mv_portfolio_performance_truncate AFTER TRUNCATE ON trade_logs
    FOR EACH STATEMENT EXECUTE FUNCTION mv_portfolio_performance_truncate();

CREATE TRIGGER mv_news_sentiment_insert AFTER INSERT ON news_items REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION mv_news_sentiment_insert();

CREATE TRIGGER mv_news_sentiment_delete AFTER DELETE ON news_items REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION mv_news_sentiment_delete();

CREATE TRIGGER mv_news_sentiment_update AFTER UPDATE ON news_items REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION mv_news_sentiment_update();

CREATE TRIGGER mv_news_sentiment_truncate AFTER TRUNCATE ON news_items
    FOR EACH STATEMENT EXECUTE FUNCTION mv_news_sentiment_truncate();

-- What is there already. Nobody else writes: the triggers' tables are locked until this is committed.
INSERT INTO mv_portfolio_performance (
    user_id, day_real_ns, account_type, instrument, trade_count, pnl_hi, pnl_lo, return_sum)
SELECT user_id, day_real_ns, account_type, instrument, sum(trade_count), sum(pnl_hi), sum(pnl_lo),
    sum(return_sum)
FROM mv_portfolio_performance_rows GROUP BY user_id, day_real_ns, account_type, instrument;

INSERT INTO mv_news_sentiment (symbol, day_real_ns, news_count, score_sum)
SELECT symbol, day_real_ns, sum(news_count), sum(score_sum)
FROM mv_news_sentiment_rows GROUP BY symbol, day_real_ns;
